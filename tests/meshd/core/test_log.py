"""The log: a line a record, nothing forged, nothing secret, closed to others."""

import logging
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from meshd.core.log import LONGEST, close_log, open_log

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR) +test  .*")
log = logging.getLogger("test")


@pytest.fixture
def root() -> Iterator[None]:
    """Leaves the root logger as it was."""
    before, level = logging.getLogger().handlers[:], logging.getLogger().level
    yield
    logging.getLogger().handlers[:] = before
    logging.getLogger().setLevel(level)


def written(path: Path, *calls) -> list[str]:
    """The lines that the calls leave."""
    listener = open_log(path, "info")
    for call in calls:
        call()
    close_log(listener)
    return path.read_text().splitlines()


def failing(inside: str, message: str) -> None:
    """Log a message with a traceback whose exception says something else."""
    try:
        int(inside)
    except ValueError as error:
        error.args = (inside,)
        log.exception(message)


def test_a_record_is_one_line_in_utc(
    tmp_path: Path, root: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the machine stands."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        lines = written(tmp_path / "logs" / "a.log", lambda: log.info("%s and %d", "one", 2))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert len(lines) == 1
    assert LINE.fullmatch(lines[0])
    assert lines[0].endswith("one and 2")
    stamp = datetime.fromisoformat(lines[0].split()[0])
    assert abs(datetime.now(UTC) - stamp) < timedelta(minutes=5)


def test_the_level_counts(tmp_path: Path, root: None) -> None:
    assert written(tmp_path / "a.log", lambda: log.debug("not this")) == []


def test_a_line_cannot_be_forged(tmp_path: Path, root: None) -> None:
    forged = "x\n2026-11-23T14:02:11.000Z INFO    test  all is well\x1b[31m\u2028y"
    lines = written(tmp_path / "a.log", lambda: log.warning("%s", forged))
    assert len(lines) == 1
    assert "\x1b" not in lines[0]
    assert "\\n2026" in lines[0]


def test_a_traceback_is_kept_and_cannot_be_forged_either(tmp_path: Path, root: None) -> None:
    """Its lines are indented, and the end of it, which names the cause, is never cut."""
    forged = "a" * 2 * LONGEST + "\n2026-11-23T14:02:11.000Z INFO    test  fine\nthe end"
    lines = written(tmp_path / "a.log", lambda: failing(forged, "it failed"))
    assert LINE.fullmatch(lines[0])
    assert lines[-1].endswith("the end")
    assert all(line.startswith("  ") for line in lines[1:])


def test_secrets_are_masked_in_messages_and_tracebacks(tmp_path: Path, root: None) -> None:
    secret = "ghp_" + "a" * 36

    text = "\n".join(written(tmp_path / "a.log", lambda: failing(secret, f"with {secret}")))
    assert secret not in text
    assert text.count("***") == 2


def test_the_file_is_closed_to_others(tmp_path: Path, root: None) -> None:
    path = tmp_path / "logs" / "a.log"
    written(path, lambda: log.info("x"))
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0

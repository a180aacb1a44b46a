"""`meshd --dev`: the daemon starts afresh when its files change."""

import os
import shutil
import signal
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from meshd.dev import _without_ready, state
from tests.support.daemon import Daemon
from tests.support.starting import begin
from tests.support.wait import until


@pytest.fixture
def copied(tmp_path: Path) -> Iterator[Daemon]:
    """A home whose daemon runs from a copy of the package, to be changed."""
    source = Path(str(files("meshd")))
    shutil.copytree(source, tmp_path / "meshd", ignore=shutil.ignore_patterns("__pycache__"))
    made = Daemon.fresh(PYTHONPATH=str(tmp_path))
    yield made
    made.remove()


def child(home: Daemon) -> int:
    """The pid of the daemon that holds the home; 0 while none does."""
    text = (home.home / "meshd.lock").read_text().strip()
    if not text or not (home.home / "meshd.sock").exists():
        return 0
    return int(text)


def test_a_change_starts_it_afresh_and_its_end_is_passed_on(copied: Daemon, tmp_path: Path) -> None:
    begin(copied, "--dev", "--port", "0")
    first = child(copied)
    assert first != copied.pid
    touched = tmp_path / "meshd" / "wire" / "version.py"
    os.utime(touched, ns=(0, 0))
    until(lambda: child(copied) not in {0, first})
    assert copied.ask("GET", "/v1/status").status == 200
    last = child(copied)
    assert copied.stop() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(last, signal.SIG_DFL)


def test_what_is_watched(tmp_path: Path) -> None:
    """Code and queries: changed, new and gone ones; nothing that a running program writes."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.py").touch()
    (tmp_path / "b.pyc").touch()
    before = state(tmp_path)
    assert set(before) == {tmp_path / "sub" / "a.py"}
    (tmp_path / "c.sql").touch()
    assert state(tmp_path) != before
    (tmp_path / "c.sql").unlink()
    assert state(tmp_path) == before
    os.utime(tmp_path / "sub" / "a.py", ns=(0, 0))
    assert state(tmp_path) != before


def test_only_the_first_child_reports() -> None:
    line = ["--port", "0", "--ready-fd", "5", "--env-file", "x"]
    assert _without_ready(line) == ["--port", "0", "--env-file", "x"]
    assert _without_ready(["--ready-fd=5", "serve"]) == ["serve"]

"""No command leaves a file in the home that anybody else may touch, whatever the umask."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from meshctl.cli.tree import ROWS
from tests.meshctl.cli.walking_process import open_to_others
from tests.support.daemon import Daemon

WALKING = Path(__file__).with_name("walking_process.py")
MAY_FAIL = {
    "tui", "call show", "delivery show", "event retry", "event cancel", "doctor", "daemon install",
    "daemon uninstall",
}  # fmt: skip
"""Without a terminal, something of that name, anything to repair, a service manager, or a flaw."""


@pytest.fixture(scope="module")
def walked():
    """Each command's words, exit code and open files, after all of them ran in one home."""
    daemon = Daemon.fresh()
    elsewhere = Path(tempfile.mkdtemp(prefix="user-"))
    (elsewhere / ".cursor").mkdir()
    environ = {**daemon.environ, "HOME": str(elsewhere), "PORT": "", "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, str(WALKING)], env=environ, cwd=elsewhere, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    files = {path.name for path in daemon.home.rglob("*")}
    yield [json.loads(line) for line in done.stdout.splitlines()], files, done.stderr
    subprocess.run(
        [sys.executable, "-m", "meshctl", "daemon", "stop"], env=environ, capture_output=True
    )
    daemon.remove()
    shutil.rmtree(elsewhere)


def test_every_command_ran(walked):
    rows, files, stderr = walked
    assert {words for words, _, _ in rows} == {row.words for row in ROWS}
    known = [row for row in rows if row[0] not in MAY_FAIL]
    assert [(words, code) for words, code, _ in known if code != 0] == [], stderr
    done = [words for words, code, _ in known if code == 0]
    assert len(done) >= 30, (rows, stderr)
    assert {"mesh.db", "calls.db", "master.key", "meshd.log", "meshd.lock"} <= files


def test_none_leaves_a_file_open_to_others(walked):
    rows, _, _ = walked
    assert [(words, opened) for words, _, opened in rows if opened] == []


def test_an_open_file_would_be_seen(tmp_path):
    """So that the silence above means something."""
    tmp_path.chmod(0o700)
    (tmp_path / "closed").touch(0o600)
    descriptor = os.open(tmp_path / "open", os.O_CREAT | os.O_WRONLY, 0o640)
    os.close(descriptor)
    assert open_to_others(tmp_path) == ["open 640"]

"""Starting, finding and stopping the daemon's program, which is a fake here."""

import fcntl
import os
import stat
import threading
from pathlib import Path

import pytest

from meshctl.client import start as module
from meshctl.client.start import ensure, foreground, running, start, stop
from meshd.wire.errors import Conflict, Unavailable


def test_start_find_stop(fake_meshd):
    """The answer is the same from the starter and from the finder; stop waits for the lock."""
    assert running(fake_meshd) is None
    started = start(fake_meshd, port=0)
    assert started == {
        "pid": started["pid"],
        "socket": fake_meshd.at("meshd.sock"),
        "url": "http://127.0.0.1:40123",
        "version": "0.1.0",
        "state": "running",
    }
    assert running(fake_meshd) == started
    assert start(fake_meshd) == start(fake_meshd, port=0) == ensure(fake_meshd) == started
    assert stop(fake_meshd) == started["pid"]
    assert not module.held(fake_meshd.at("meshd.lock"))
    assert stop(fake_meshd) is None


def test_it_runs_by_itself(fake_meshd):
    """In a session of its own, out of the caller's folder, its words in the log."""
    pid = start(fake_meshd)["pid"]
    assert os.getsid(pid) == pid != os.getsid(0)
    where = Path(f"/proc/{pid}/cwd")
    if where.exists():  # Linux
        assert where.readlink() == fake_meshd.root
    assert fake_meshd.log.read_text() == "starting\n"
    assert stat.S_IMODE(fake_meshd.log.stat().st_mode) == 0o600


def test_another_port(fake_meshd):
    """A running daemon does not move; the sentence says how."""
    start(fake_meshd, port=4001)
    assert start(fake_meshd, port=4001)["url"] == "http://127.0.0.1:4001"
    with pytest.raises(Conflict, match="another port") as refused:
        start(fake_meshd, port=4002)
    assert refused.value.next == "meshctl daemon stop && meshctl daemon start --port 4002"


def test_a_race_has_one_winner(fake_meshd):
    """Callers that start at once all get the one daemon."""
    answers = []
    callers = [threading.Thread(target=lambda: answers.append(start(fake_meshd))) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(30)
    assert len(answers) == 4
    assert len({answer["pid"] for answer in answers}) == 1


def test_it_says_why_it_cannot(fake_meshd, monkeypatch):
    """The daemon's own error is the caller's."""
    monkeypatch.setenv("FAKE", "refuse")
    with pytest.raises(Conflict, match="port 3000 is taken"):
        start(fake_meshd)


def test_it_dies(fake_meshd, monkeypatch):
    """Without a word on the pipe; the log may have one."""
    monkeypatch.setenv("FAKE", "die")
    with pytest.raises(Unavailable, match="ended before it served") as failed:
        start(fake_meshd)
    assert failed.value.next == "meshctl daemon logs"


def test_a_folder_named_meshd_is_not_run(home, monkeypatch, tmp_path):
    """Whatever the working directory holds, the installed program is meant."""
    (tmp_path / "meshd").mkdir()
    (tmp_path / "meshd" / "__main__.py").write_text("print('stranger')")
    monkeypatch.chdir(tmp_path)
    import subprocess

    ran = subprocess.run(module.meshd("--no-such-option"), capture_output=True, text=True)
    assert "stranger" not in ran.stdout


def test_foreground_refuses_a_second_one(fake_meshd):
    """It would become the daemon that cannot be."""
    pid = start(fake_meshd)["pid"]
    with pytest.raises(Conflict) as refused:
        foreground(fake_meshd)
    assert refused.value.facts == {"pid": str(pid)}


def test_a_lock_without_a_daemon_behind_it(home, monkeypatch):
    """Somebody holds the lock and does not answer: said, not guessed about."""
    monkeypatch.setattr("meshctl.client.dial.STARTING_SECONDS", 0.05)
    fd = os.open(home.at("meshd.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    with pytest.raises(Unavailable, match="does not answer"):
        stop(home)
    os.close(fd)


def test_a_look_at_the_lock_loses_no_daemon(fake_meshd, monkeypatch):
    """A daemon that ran into somebody's look at the lock is launched again."""
    launch, launched = module._launch, []

    def unlucky(home, port, more):
        launched.append(port)
        if len(launched) < 3:
            raise Conflict("meshd is already running", facts={"pid": "1"})
        return launch(home, port, more)

    monkeypatch.setattr(module, "_launch", unlucky)
    assert start(fake_meshd, port=0)["pid"]
    assert launched == [0, 0, 0]
    stop(fake_meshd)
    monkeypatch.setattr(module, "LAUNCHES", 2)
    launched.clear()
    with pytest.raises(Conflict):
        start(fake_meshd, port=0)
    assert launched == [0, 0]

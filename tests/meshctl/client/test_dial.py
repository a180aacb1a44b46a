"""Connecting: a daemon that starts is waited for, one that is not there is not."""

import fcntl
import os
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from meshctl.client import dial
from meshd.wire.errors import DaemonDown, Denied


@pytest.fixture
def lock(home):
    """The daemon's lock, held as another process would."""
    fd = os.open(home.at("meshd.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    yield fd
    os.close(fd)


def listening(path):
    one = socket.socket(socket.AF_UNIX)
    one.bind(path)
    one.listen()
    return one


def test_no_daemon(home):
    """Said at once, with where it was looked for and how to start one."""
    before = time.monotonic()
    with pytest.raises(DaemonDown) as down:
        dial.connect(home.at("meshd.sock"), 1.0)
    assert time.monotonic() - before < 1
    assert down.value.facts == {"socket": f"{home.at('meshd.sock')} (no such file or directory)"}
    assert down.value.next == "meshctl daemon start"
    assert not dial.answers(home.at("meshd.sock"))


def test_a_socket_left_behind(home):
    """A file that nobody listens on is no daemon."""
    listening(home.at("meshd.sock")).close()
    with pytest.raises(DaemonDown, match="not running") as down:
        dial.connect(home.at("meshd.sock"), 1.0)
    assert "refused" in down.value.facts["socket"]


def test_a_daemon_that_starts_is_waited_for(home, lock):
    """While the lock is held, the socket may still come."""
    path = home.at("meshd.sock")
    found = []
    waiting = threading.Thread(target=lambda: found.append(dial.connect(path, 1.0)))
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    with listening(path):
        waiting.join(5)
    assert len(found) == 1
    found[0].close()


def test_waiting_has_an_end(home, lock, monkeypatch):
    """A daemon that holds the lock for ever and never serves is down."""
    monkeypatch.setattr(dial, "STARTING_SECONDS", 0.1)
    with pytest.raises(DaemonDown):
        dial.connect(home.at("meshd.sock"), 1.0)


def test_waiting_ends_when_the_daemon_dies(home, lock):
    """Its lock is free then, and nothing is worth waiting for."""
    failed = []

    def connect():
        try:
            dial.connect(home.at("meshd.sock"), 1.0)
        except DaemonDown as error:
            failed.append(error)

    waiting = threading.Thread(target=connect)
    waiting.start()
    fcntl.flock(lock, fcntl.LOCK_UN)
    waiting.join(2)
    assert len(failed) == 1


def test_held(home, lock):
    """Looking at the lock does not take it."""
    path = home.at("meshd.lock")
    assert dial.held(path)
    fcntl.flock(lock, fcntl.LOCK_UN)
    assert not dial.held(path)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert not dial.held(home.at("no-such-file"))


@contextmanager
def nobody():
    """Root may open every socket, so it is somebody else for a moment."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_foreign_socket(home):
    """A socket one may not open is somebody else's daemon."""
    with listening(home.at("meshd.sock")):
        home.socket.chmod(0)
        with nobody(), pytest.raises(Denied, match="somebody else"):
            dial.connect(home.at("meshd.sock"), 1.0)

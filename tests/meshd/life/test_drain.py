"""How the daemon ends while it is busy, what it tells of its state, and who may look into it."""

import signal
import socket
import sys
import threading
import time
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.daemon import Daemon
from tests.support.fault import silence
from tests.support.strict import STRICT
from tests.support.upstream import Seen, Upstream, result, upstream
from tests.support.wait import until

CALL = (
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
    b'"params":{"name":"hang","arguments":{"mark":"m"}}}'
)


def busy(daemon: Daemon, server: Upstream) -> HTTPConnection:
    """A connection on which a call waits for its upstream."""
    key = daemon.add_key("busy")
    parts = urlsplit(daemon.url)
    link = HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    link.request("POST", "/mcp/http", CALL, headers)
    until(lambda: len(server.of("tools/call")) == 1)
    return link


def test_ready_is_told_behind_the_gate(daemon: Daemon) -> None:
    """Without a key, as probes have none; but not under any name."""
    assert daemon.tcp("GET", "/ready").json() == {"status": "ok"}
    assert daemon.tcp("GET", "/ready", Host="evil.example").status == 421
    assert daemon.tcp("POST", "/ready").status == 405


def test_while_it_drains_others_get_503_and_nobody_new_comes_in() -> None:
    """An open connection is told to go; a call under way is waited for, for its time."""
    made = Daemon.fresh().start(prefix=STRICT)
    process = made.process
    assert process is not None
    with upstream() as server, closing(socket.socket()) as wire:
        made.connect_http("http", server.url)
        server.replies["tools/call"] = silence
        link = busy(made, server)
        parts = urlsplit(made.url)
        wire.settimeout(20)
        wire.connect((parts.hostname, parts.port))
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        until(lambda: not _takes(made))
        wire.sendall(f"GET /ready HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        said = wire.recv(65536)
        assert said.startswith(b"HTTP/1.1 503 ")
        assert b"connection: close" in said.lower()
        assert b"retry-after: " in said.lower()
        assert process.wait(20) == 0
        assert 1 <= time.monotonic() - began < 10
        link.close()
    _forget(made)


def _takes(daemon: Daemon) -> bool:
    parts = urlsplit(daemon.url)
    with suppress(OSError), socket.create_connection((parts.hostname, parts.port), timeout=5):
        return True
    return False


def _forget(daemon: Daemon) -> None:
    assert daemon.process is not None
    assert daemon.process.stderr is not None
    daemon.process.stderr.close()
    daemon.process = None
    daemon.remove()


def test_a_second_signal_ends_it_within_two_seconds(daemon: Daemon) -> None:
    """With 0 as well, though a call would get half a minute."""
    process = daemon.process
    assert process is not None
    with upstream() as server:
        daemon.connect_http("http", server.url)
        server.replies["tools/call"] = silence
        link = busy(daemon, server)
        process.send_signal(signal.SIGTERM)
        until(lambda: not _takes(daemon))
        assert process.poll() is None
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert time.monotonic() - began < 2.5
        link.close()
    assert process.stderr is not None
    process.stderr.close()
    daemon.process = None


def test_a_call_that_ends_in_time_is_answered() -> None:
    """And then the daemon waits for nothing more."""
    made = Daemon.fresh().start()
    process = made.process
    assert process is not None
    with upstream() as server:
        made.connect_http("http", server.url)
        finish = threading.Event()

        def held(seen: Seen, wire: socket.socket) -> None:
            finish.wait(20)
            result({"content": []})(seen, wire)

        server.replies["tools/call"] = held
        link = busy(made, server)
        process.send_signal(signal.SIGTERM)
        until(lambda: not _takes(made))
        finish.set()
        answer = link.getresponse()
        assert (answer.status, answer.getheader("Connection")) == (200, "close")
        assert b'"result"' in answer.read()
        assert process.wait(20) == 0
        link.close()
    _forget(made)


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")
def test_a_service_manager_is_told(tmp_path: Path) -> None:
    """That it serves, that it lives, that it ends."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.settimeout(20)
        manager.bind(str(tmp_path / "n"))
        made = Daemon.fresh(NOTIFY_SOCKET=str(tmp_path / "n")).start()
        told = {manager.recv(100), manager.recv(100)}
        assert told == {b"READY=1", b"WATCHDOG=1"}
        assert manager.recv(100) == b"WATCHDOG=1"
        assert made.stop() == 0
        told = set()
        manager.settimeout(0)
        with suppress(BlockingIOError):
            while True:
                told.add(manager.recv(100))
        assert b"STOPPING=1" in told
        made.remove()


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's /proc")
def test_its_memory_is_nobodys(daemon: Daemon) -> None:
    """What is in /proc of a process that must not be dumped belongs to root."""
    assert Path(f"/proc/{daemon.pid}/environ").stat().st_uid == 0
    core = Path(f"/proc/{daemon.pid}/limits").read_text("ascii")
    assert [line.split()[4] for line in core.splitlines() if "core file" in line] == ["0"]

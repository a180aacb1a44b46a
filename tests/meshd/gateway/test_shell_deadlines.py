"""Slow clients: each way to be slow ends with 408 or a closed connection, and soon."""

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.strict import LIMITS, STRICT
from tests.support.wait import until

SLACK = 20
"""Seconds for a busy machine."""


@pytest.fixture(scope="module")
def strict() -> Iterator[Daemon]:
    made = Daemon.fresh().start(prefix=STRICT)
    made.connect("stand-in", *stdio_server.command())
    yield made
    made.remove()


@pytest.fixture(scope="module")
def head(strict: Daemon) -> bytes:
    """An authenticated request's head, without its end."""
    key = strict.add_key("slow")
    host = strict.url.removeprefix("http://")
    lines = ("POST /mcp/stand-in HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {key}")
    return "\r\n".join([*lines, "Content-Type: application/json", ""]).encode()


def dial(daemon: Daemon) -> socket.socket:
    parts = urlsplit(daemon.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=15)


def rest(wire: socket.socket) -> bytes:
    """All that still comes until the daemon closes."""
    parts = []
    try:
        while part := wire.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def ends(wire: socket.socket, after: float) -> bytes:
    """The rest, which comes neither before `after` seconds nor much later."""
    began = time.monotonic()
    said = rest(wire)
    assert after * 0.5 < time.monotonic() - began < after + SLACK
    return said


def test_who_says_nothing_is_left(strict: Daemon) -> None:
    with closing(dial(strict)) as wire:
        assert ends(wire, LIMITS.head) == b""


def test_half_a_head_is_408(strict: Daemon, head: bytes) -> None:
    with closing(dial(strict)) as wire:
        wire.sendall(head)
        assert ends(wire, LIMITS.head).startswith(b"HTTP/1.1 408 ")


def test_a_head_in_drops_gains_nothing_by_each_drop(strict: Daemon, head: bytes) -> None:
    """The deadline is the head's, not that of the next byte."""
    began = time.monotonic()
    with closing(dial(strict)) as wire:
        wire.settimeout(0.05)
        wire.sendall(head)
        said = b""
        while not said and time.monotonic() - began < 10:
            wire.sendall(b"X")
            try:
                said = wire.recv(65536)
            except TimeoutError:
                continue
        assert said.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < LIMITS.head + SLACK


@pytest.mark.parametrize("framing", [b"Content-Length: 4000", b"Transfer-Encoding: chunked"])
def test_a_body_that_does_not_come_is_408(strict: Daemon, head: bytes, framing: bytes) -> None:
    with closing(dial(strict)) as wire:
        wire.sendall(head + framing + b"\r\n\r\n")
        said = ends(wire, LIMITS.grace)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b'"too_slow"' in said
    assert b"connection: close" in said.lower()


def test_a_body_that_comes_fast_enough_but_never_ends_is_408(strict: Daemon, head: bytes) -> None:
    """Two KiB a second are enough for the rate, and too little for the deadline."""
    began = time.monotonic()
    with closing(dial(strict)) as wire:
        wire.sendall(head + b"Content-Length: 4000000\r\n\r\n" + b" " * 2048)
        wire.settimeout(0.1)
        said = b""
        while not said and time.monotonic() - began < 10:
            wire.sendall(b" " * 409)
            try:
                said = wire.recv(65536)
            except TimeoutError:
                continue
    assert said.startswith(b"HTTP/1.1 408 ")
    assert LIMITS.body <= time.monotonic() - began < LIMITS.body + SLACK


def test_an_idle_connection_is_closed(strict: Daemon, head: bytes) -> None:
    """Though it did well before."""
    ping = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    with closing(dial(strict)) as wire:
        wire.sendall(head + b"Content-Length: %d\r\n\r\n" % len(ping) + ping)
        assert b" 200 " in wire.recv(65536)
        assert ends(wire, LIMITS.idle) == b""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the daemon's side")
def test_a_reader_that_does_not_read_is_cut(strict: Daemon, head: bytes) -> None:
    """What it asked for does not stay in memory for as long as it likes."""
    big = b'{"jsonrpc":"2.0","id":"%b","method":"ping"}' % (b"x" * 3_000_000)
    wire = socket.socket()
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    wire.settimeout(15)
    parts = urlsplit(strict.url)
    with closing(wire):
        wire.connect((parts.hostname, parts.port))
        with suppress(ConnectionError):  # it may be cut before all is said
            for _ in range(3):
                wire.sendall(head + b"Content-Length: %d\r\n\r\n" % len(big) + big)
        until(lambda: not _is_open(strict, wire), LIMITS.stall + SLACK)
        assert len(rest(wire)) < 9_000_000


def _is_open(daemon: Daemon, wire: socket.socket) -> bool:
    """Whether the daemon's side still stands, by the table of the system."""
    port = f":{wire.getsockname()[1]:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()]
    return any(row[2].endswith(port) and row[3] == "01" for row in rows[1:])


def test_a_slow_upstream_is_no_slow_client(strict: Daemon, head: bytes) -> None:
    """A call may take longer than every deadline for clients."""
    call = (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
        b'"params":{"name":"hang","arguments":{"mark":"m"}}}'
    )
    with closing(dial(strict)) as wire:
        wire.sendall(head + b"Content-Length: %d\r\n\r\n" % len(call) + call)
        wire.settimeout(LIMITS.body + 0.5)
        with pytest.raises(TimeoutError):
            wire.recv(1)

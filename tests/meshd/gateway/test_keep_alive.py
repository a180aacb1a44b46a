"""Whatever a client waits on, a comment comes from time to time, so that nobody cuts its stream."""

import json
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.support import stdio_server
from tests.support.brisk import BRISK
from tests.support.daemon import Daemon
from tests.support.raw_http import request
from tests.support.upstream import Seen, event_stream, upstream

COMMENT = b": keep-alive\n\n"


@pytest.fixture(scope="module")
def serving() -> Iterator[tuple[Daemon, str]]:
    """A stdio server with a tool that hangs, and an HTTP server whose streams are silent."""
    over, daemon = threading.Event(), Daemon.fresh().start(prefix=BRISK)

    def silent(_seen: Seen, wire: socket.socket) -> None:
        event_stream(b"")(_seen, wire)
        over.wait(120)

    with upstream() as server:
        server.replies |= {"tools/call": silent, "GET": silent}
        daemon.connect("child", *stdio_server.command())
        daemon.connect_http("http", server.url)
        yield daemon, daemon.add_key("client")
        over.set()
    daemon.kill()  # an end in order would wait for the call that hangs
    daemon.remove()


def read_comments(daemon: Daemon, raw: bytes) -> bytes:
    """What comes up to the second comment."""
    parts, got = urlsplit(daemon.url), b""
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as wire:
        wire.sendall(raw)
        while got.count(COMMENT) < 2:
            piece = wire.recv(4096)
            assert piece, got
            got += piece
    return got


@pytest.mark.parametrize("connection", ["child", "http"])
def test_a_call_that_takes_long(serving: tuple[Daemon, str], connection: str) -> None:
    daemon, key = serving
    call = {"name": "hang", "arguments": {"mark": "x"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    raw = request(
        "POST", f"/mcp/{connection}", urlsplit(daemon.url).netloc, f"Authorization: Bearer {key}",
        "Content-Type: application/json", "Accept: application/json, text/event-stream",
        body=json.dumps(message).encode(),
    )  # fmt: skip
    assert b"text/event-stream" in read_comments(daemon, raw)


@pytest.mark.parametrize("path", ["child", "http", "child/sse", "http/sse"])
def test_a_stream_of_server_messages(serving: tuple[Daemon, str], path: str) -> None:
    daemon, key = serving
    raw = request(
        "GET", f"/mcp/{path}", urlsplit(daemon.url).netloc, f"Authorization: Bearer {key}",
        "Accept: text/event-stream",
    )  # fmt: skip
    assert b"text/event-stream" in read_comments(daemon, raw)

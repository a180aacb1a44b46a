"""A handshake client whose connection is lost in the middle of a call: for a while it may come back."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.fleeting import FLEETING
from tests.support.raw_http import request
from tests.support.upstream import SESSION, WELCOME, Seen, Upstream, event_stream, upstream
from tests.support.wait import until

BEGUN = b"id: one-1\ndata: \n\n"
"""What a server sends at once, so that its stream can be taken up again."""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    made = Daemon.fresh().start(prefix=FLEETING)
    yield made
    made.remove()


@pytest.fixture
def server() -> Iterator[Upstream]:
    with upstream() as made:
        yield made


def begin_and_drop(daemon: Daemon, key: str, name: str, params: Any, session: str = "") -> None:
    """Call a tool, and hang up once its answer has begun; at once where it does not begin."""
    parts = urlsplit(daemon.url)
    message = {"jsonrpc": "2.0", "id": "the call", "method": "tools/call", "params": params}
    headers = [
        f"Authorization: Bearer {key}", "Content-Type: application/json",
        "Accept: application/json, text/event-stream", f"Mcp-Session-Id: {session}",
    ]  # fmt: skip
    raw = request(
        "POST", f"/mcp/{name}", parts.netloc, *headers[: 4 if session else 3],
        body=json.dumps(message).encode(),
    )  # fmt: skip
    with closing(socket.create_connection((parts.hostname, parts.port), timeout=60)) as wire:
        wire.sendall(raw)
        said = b""
        while session and b"one-1" not in said:
            said += wire.recv(4096)


def begin_session(daemon: Daemon, key: str, name: str) -> str:
    params = {"protocolVersion": WELCOME["protocolVersion"], "capabilities": {}}
    return daemon.rpc(name, "initialize", params, key=key).headers["mcp-session-id"]


def hang(_: Seen, wire: socket.socket) -> None:
    """Begin an answer, and wait until the caller is gone."""
    event_stream(BEGUN)(_, wire)
    while wire.recv(100):
        pass


def cancelled(server: Upstream) -> list[Seen]:
    return server.of("notifications/cancelled")


def test_the_upstream_is_told_in_the_end_and_not_of_a_client_that_came_back(
    daemon: Daemon, server: Upstream
) -> None:
    """Who takes up the stream of its answer gets it; the call of who does not is cancelled."""
    answer = {"jsonrpc": "2.0", "id": "the call", "result": {"content": []}}
    server.replies["tools/call"] = hang
    server.replies["GET"] = event_stream(b"data: %b\n\n" % json.dumps(answer).encode())
    daemon.connect_http("recorder", server.url)
    key = daemon.add_key("recorder", "recorder")
    back = begin_session(daemon, key, "recorder")
    begin_and_drop(daemon, key, "recorder", {"name": "echo"}, back)
    taken_up = daemon.tcp(
        "GET", "/mcp/recorder", key=key, Accept="text/event-stream",
        **{"Mcp-Session-Id": back, "Last-Event-ID": "one-1"},
    )  # fmt: skip
    assert json.loads(taken_up.body.partition(b"data: ")[2]) == answer
    assert server.of("GET")[-1].header("Last-Event-ID") == "one-1"
    assert not cancelled(server)

    away = begin_session(daemon, key, "recorder")
    begin_and_drop(daemon, key, "recorder", {"name": "write"}, away)
    (told,) = until(lambda: cancelled(server))
    assert told.message["params"]["requestId"] == "the call"
    assert told.header("Mcp-Session-Id") == SESSION
    calls = daemon.control("GET", "/v1/calls")
    assert {one["error"] for one in calls if one["connection"] == "recorder"} == {
        "the client went away"
    }


def test_a_client_that_ends_its_session_cancels_nothing_in_it_later(
    daemon: Daemon, server: Upstream
) -> None:
    """The second session, which is left after the first was ended, shows that the time was over."""
    server.replies["tools/call"] = hang
    daemon.connect_http("ended", server.url)
    key = daemon.add_key("ended", "ended")
    first, second = (begin_session(daemon, key, "ended") for _ in range(2))
    begin_and_drop(daemon, key, "ended", {"name": "echo"}, first)
    assert daemon.tcp("DELETE", "/mcp/ended", key=key, **{"Mcp-Session-Id": first}).status == 204
    begin_and_drop(daemon, key, "ended", {"name": "write"}, second)
    until(lambda: cancelled(server))
    assert len(cancelled(server)) == 1


def test_a_call_at_a_stdio_server_is_cancelled_when_its_client_stays_away(daemon: Daemon) -> None:
    daemon.connect("stdio", *stdio_server.command())
    key = daemon.add_key("stdio", "stdio")

    def seen() -> dict[str, Any]:
        call = {"name": "seen", "arguments": {}}
        said = daemon.rpc("stdio", "tools/call", call, key=key).json()["result"]
        found = said["structuredContent"]["value"]
        assert isinstance(found, dict)
        return found

    begin_and_drop(daemon, key, "stdio", {"name": "hang", "arguments": {"mark": "left"}})
    until(lambda: seen()["hanging"] == ["left"] or seen()["cancelled"])
    until(lambda: seen()["cancelled"] == ["left"])

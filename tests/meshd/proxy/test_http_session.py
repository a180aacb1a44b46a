"""The daemon's own session with an HTTP upstream: opened once, opened anew once, never mixed."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from itertools import count
from socket import socket

import pytest

from meshd.core.secret import Secret
from meshd.proxy.circuit import Circuit
from meshd.proxy.http import HttpUpstream, Target
from meshd.proxy.http_session import HttpSession
from meshd.proxy.outbound import OutboundRules, open_session
from meshd.wire.errors import NeedsLogin, UpstreamFailed, UpstreamTimeout
from tests.support.fault import cut_json, cut_stream, garbage, reset, silence, status
from tests.support.upstream import (
    SESSION,
    WELCOME,
    Seen,
    Upstream,
    answer,
    event_stream,
    json_body,
    result,
    upstream,
)


@pytest.fixture
def server() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture
async def session(server: Upstream) -> AsyncIterator[HttpSession]:
    async with open_session(OutboundRules()) as pool:
        target = Target(Secret(server.url + "?key=hunter2"), server.url, {})
        yield HttpSession(HttpUpstream(pool, target, Circuit()), server.url)


async def test_a_session_is_opened_once_for_many_requests(
    session: HttpSession, server: Upstream
) -> None:
    replies = await asyncio.gather(*(session.request("tools/list") for _ in range(10)))
    assert all(reply.result is not None for reply in replies)
    assert [
        len(server.of(kind)) for kind in ("initialize", "notifications/initialized", "tools/list")
    ] == [1, 1, 10]
    asked = server.of("tools/list")[0]
    assert (asked.header("Mcp-Session-Id"), asked.header("MCP-Protocol-Version")) == (
        SESSION,
        "2025-11-25",
    )
    assert server.of("initialize")[0].header("Mcp-Session-Id") is None
    assert json.loads(await session.open())["serverInfo"]["name"] == "recorder"


async def test_a_server_without_sessions(session: HttpSession, server: Upstream) -> None:
    server.replies["initialize"] = result(WELCOME)
    assert (await session.request("tools/list")).result is not None
    assert server.of("tools/list")[0].header("Mcp-Session-Id") is None
    server.replies["tools/list"] = status("404 Not Found")
    with pytest.raises(UpstreamFailed, match="404"):
        await session.request("tools/list")
    assert len(server.of("initialize")) == 1


def forgetful(server: Upstream) -> dict[str, str]:
    """The server knows only the session that `alive` names, and counts them up."""
    alive: dict[str, str] = {"id": ""}
    numbers = count(1)
    usual = dict(server.replies)

    def initialize(seen: Seen, wire: socket) -> None:
        alive["id"] = f"session-{next(numbers)}"
        result(WELCOME, f"Mcp-Session-Id: {alive['id']}")(seen, wire)

    def listing(seen: Seen, wire: socket) -> None:
        known = seen.header("Mcp-Session-Id") == alive["id"]
        (usual["tools/list"] if known else status("404 Not Found"))(seen, wire)

    server.replies |= {"initialize": initialize, "tools/list": listing}
    return alive


async def test_a_forgotten_session_is_opened_anew_and_not_for_ever(
    session: HttpSession, server: Upstream
) -> None:
    alive = forgetful(server)
    await session.request("tools/list")
    alive["id"] = "restarted"
    assert (await session.request("tools/list")).result is not None
    assert (len(server.of("initialize")), len(server.of("tools/list"))) == (2, 3)
    server.replies["tools/list"] = status("404 Not Found")
    with pytest.raises(UpstreamFailed, match="forgets"):
        await session.request("tools/list")
    assert len(server.of("initialize")) == 4
    assert len(server.of("tools/list")) == 6


async def test_many_that_lose_one_session_open_one_other(
    session: HttpSession, server: Upstream
) -> None:
    """And none of them asks without a session, or with another's half-opened one."""
    alive = forgetful(server)
    await session.request("tools/list")
    alive["id"] = "restarted"
    replies = await asyncio.gather(*(session.request("tools/list") for _ in range(10)))
    assert all(reply.result is not None for reply in replies)
    assert len(server.of("initialize")) == 2
    assert {seen.header("Mcp-Session-Id") for seen in server.of("tools/list")} == {
        "session-1",
        "session-2",
    }


async def test_an_answer_on_a_stream(session: HttpSession, server: Upstream) -> None:
    """Whatever comes before it: comments, notifications, answers to others, requests."""

    def stream(seen: Seen, wire: socket) -> None:
        ident = seen.message["id"]
        lines = [
            {"jsonrpc": "2.0", "method": "notifications/message", "params": {}},
            {"jsonrpc": "2.0", "id": ident + 1000, "result": {"wrong": True}},
            {"jsonrpc": "2.0", "id": "s1", "method": "sampling/createMessage", "params": {}},
            {"jsonrpc": "2.0", "id": "s2", "method": "ping"},
            {"jsonrpc": "2.0", "id": ident, "result": {"right": True}},
        ]
        events = "".join(f"event: message\r\ndata: {json.dumps(line)}\r\n\r\n" for line in lines)
        event_stream(b": hello\r\n\r\n" + events.encode())(seen, wire)

    server.replies["tools/list"] = stream
    reply = await session.request("tools/list")
    assert reply.result == b'{"right": true}'
    declined = [seen.message for seen in server.seen if seen.message.get("id") in {"s1", "s2"}]
    assert [m["id"] for m in declined] == ["s1", "s2"]
    assert declined[0]["error"]["code"] == -32601
    assert declined[1]["result"] == {}


async def test_an_error_is_an_answer(session: HttpSession, server: Upstream) -> None:
    await session.open()
    server.replies["tools/list"] = lambda seen, wire: json_body(
        json.dumps(
            {"jsonrpc": "2.0", "id": seen.message["id"], "error": {"code": 5, "message": "no"}}
        ).encode()
    )(seen, wire)
    reply = await session.request("tools/list")
    assert reply.result is None
    assert json.loads(reply.error or b"")["message"] == "no"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (status("500 Oops"), UpstreamFailed), (status("302 Found", "Location: http://x/"), UpstreamFailed),
        (status("401 Unauthorized"), NeedsLogin), (status("403 Forbidden"), NeedsLogin), (garbage(), UpstreamFailed),
        (garbage("text/html"), UpstreamFailed), (garbage("text/event-stream"), UpstreamFailed), (reset, UpstreamFailed),
        (cut_json, UpstreamFailed), (cut_stream, UpstreamFailed), (answer(b""), UpstreamFailed),
        (json_body(b'{"jsonrpc":"2.0","id":99,"result":{}}'), UpstreamFailed),
        (json_body(b'{"jsonrpc":"2.0","method":"notifications/message"}'), UpstreamFailed),
        (json_body(b"[" * 9999), UpstreamFailed), (event_stream(b""), UpstreamFailed),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["initialize", "tools/list"])
async def test_bad_answers(
    session: HttpSession, server: Upstream, kind: str, fault, error: type[Exception]
) -> None:
    """Each is typed, says nothing of the query, and leaves the session usable."""
    good = server.replies[kind]
    server.replies[kind] = fault
    with pytest.raises(error) as failed:
        await session.request("tools/list")
    assert "hunter2" not in str(failed.value.body())
    server.replies[kind] = good
    assert (await session.request("tools/list")).result is not None


@pytest.mark.parametrize(
    "welcome",
    [
        {},
        {"protocolVersion": "1999-01-01"},
        {"protocolVersion": None},
        {"protocolVersion": "2026-07-28"},
        [],
        "x",
    ],
    ids=str,
)
async def test_a_server_that_speaks_no_revision_of_ours(
    session: HttpSession, server: Upstream, welcome
) -> None:
    server.replies["initialize"] = result(welcome)
    with pytest.raises(UpstreamFailed):
        await session.request("tools/list")
    assert not server.of("tools/list")


@pytest.mark.parametrize("kind", ["initialize", "tools/list"])
async def test_a_deadline_covers_everything(
    session: HttpSession, server: Upstream, kind: str
) -> None:
    server.replies[kind] = silence
    with pytest.raises(UpstreamTimeout):
        await session.request("tools/list", deadline=0.1)


async def test_a_hanging_request_holds_up_no_other(session: HttpSession, server: Upstream) -> None:
    await session.open()
    server.replies["tools/call"] = silence
    hanging = asyncio.ensure_future(session.request("tools/call", deadline=10))
    assert (await session.request("tools/list", deadline=5)).result is not None
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)


async def test_closing_ends_the_session_once(session: HttpSession, server: Upstream) -> None:
    await session.close()
    assert server.seen == []
    await session.request("tools/list")
    await session.close()
    await session.close()
    (ended,) = server.of("DELETE")
    assert ended.header("Mcp-Session-Id") == SESSION
    await session.request("tools/list")
    assert len(server.of("initialize")) == 2


async def test_closing_does_not_wait_for_a_server_that_is_gone(
    session: HttpSession, server: Upstream
) -> None:
    await session.request("tools/list")
    server.replies["DELETE"] = reset
    await session.close()

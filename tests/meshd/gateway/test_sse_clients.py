"""Clients of the HTTP+SSE transport, the official one among them, at upstreams of every kind."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import mcp_types as t
import pytest
from aiohttp import web
from mcp import Client
from mcp.client.sse import sse_client

from meshd.gateway.sse_clients import SseClient, SseClients
from meshd.proxy.http import SESSION
from tests.conformance.house import house
from tests.support.daemon import Daemon
from tests.support.raw_http import request
from tests.support.wait import until

UPSTREAMS = ("handshake", "stateless", "sse-only", "stdio")


@pytest.fixture(scope="module")
def serving() -> Iterator[tuple[Daemon, str]]:
    with house() as made:
        yield made


@asynccontextmanager
async def client(
    serving: tuple[Daemon, str], connection: str, **callbacks: Any
) -> AsyncIterator[Client]:
    """The official client, with one that answers what it is asked."""

    async def elicited(_context: Any, params: Any) -> t.ElicitResult:
        return t.ElicitResult(action="accept", content={"name": "Ada", "ok": True, "color": "red"})

    daemon, key = serving
    transport = sse_client(
        f"{daemon.url}/mcp/{connection}/sse", headers={"Authorization": f"Bearer {key}"}
    )
    made = Client(transport, mode="legacy", **({"elicitation_callback": elicited} | callbacks))
    async with made as connected:
        yield connected


@pytest.mark.parametrize("upstream", UPSTREAMS)
async def test_the_official_client_lists_calls_and_reads(
    serving: tuple[Daemon, str], upstream: str
) -> None:
    async with client(serving, upstream) as made:
        assert "test_simple_text" in {tool.name for tool in (await made.list_tools()).tools}
        got = await made.call_tool("test_simple_text", {})
        assert "simple text" in got.content[0].text
        found = await made.read_resource("test://static-text")
        assert "static text" in found.contents[0].text


@pytest.mark.parametrize("upstream", ["handshake", "stateless", "sse-only"])
async def test_a_server_asks_it_in_the_middle_of_a_call(
    serving: tuple[Daemon, str], upstream: str
) -> None:
    async with client(serving, upstream) as made:
        got = await made.call_tool("test_input_required_result_elicitation", {})
        assert "Hello, Ada!" in got.content[0].text


@pytest.mark.parametrize("upstream", UPSTREAMS)
async def test_progress(serving: tuple[Daemon, str], upstream: str) -> None:
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    async with client(serving, upstream) as made:
        await made.call_tool("test_tool_with_progress", {}, progress_callback=hear)
    assert heard == [0, 50, 100]


async def test_it_hears_of_changes(serving: tuple[Daemon, str]) -> None:
    heard = asyncio.Event()

    async def hear(message: Any) -> None:
        if "ToolListChanged" in repr(message):
            heard.set()

    async with client(serving, "stateless", message_handler=hear) as made:
        async with asyncio.timeout(60):
            while not heard.is_set():  # it is listened to after the session began
                await made.call_tool("test_trigger_tool_change", {})


async def test_meshctl_itself(serving: tuple[Daemon, str]) -> None:
    daemon, _ = serving
    key = daemon.add_key("manager", "self/connection.list")
    async with client((daemon, key), "self") as made:
        assert "CONNECTION_LIST" in {tool.name for tool in (await made.list_tools()).tools}
        got = await made.call_tool("CONNECTION_LIST", {})
        assert "handshake" in got.content[0].text
    daemon.control("DELETE", "/v1/keys/manager")


@contextmanager
def stream(
    daemon: Daemon, key: str, name: str = "stateless", query: str = ""
) -> Iterator[tuple[str, socket.socket]]:
    """The place that an open stream names, and the connection that it comes over."""
    parts = urlsplit(daemon.url)
    path = f"/mcp/{name}/sse{query}"
    raw = request("GET", path, parts.netloc, f"Authorization: Bearer {key}")
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as wire:
        wire.sendall(raw)
        got = b""
        while b"\ndata: /mcp/" not in got or not got.endswith(b"\n\r\n"):
            piece = wire.recv(4096)
            assert piece, got
            got += piece
        assert b"event: endpoint" in got
        assert b"text/event-stream" in got
        yield got.partition(b"\ndata: ")[2].split(b"\n")[0].decode(), wire


def ping(number: int = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": "ping"}


def test_a_message_is_answered_on_the_stream_alone(serving: tuple[Daemon, str]) -> None:
    daemon, key = serving
    with stream(daemon, key) as (place, wire):
        posted = daemon.tcp("POST", place, ping(7), key=key)
        assert (posted.status, posted.body) == (202, b"")
        got = b""
        while b"}" not in got:
            got += wire.recv(4096)
        said = json.loads(got.partition(b"data: ")[2].split(b"\n")[0])
        assert said == {"jsonrpc": "2.0", "id": 7, "result": {}}


def test_the_place_keeps_the_mode(serving: tuple[Daemon, str]) -> None:
    """Each message is asked for it; other words of the query are not the daemon's to repeat."""
    daemon, key = serving
    with stream(daemon, key, query="?mode=passthrough&key=1") as (place, _):
        path, _, query = place.partition("?")
        assert (path, [word.split("=")[0] for word in query.split("&")]) == (
            "/mcp/stateless/sse", ["mode", "session"],
        )  # fmt: skip
        assert query.startswith("mode=passthrough&")
        assert daemon.tcp("POST", place, ping(), key=key).status == 202


async def test_a_client_that_begins_again_is_told_of_changes_once() -> None:
    """And what it had set in its session before is forgotten."""
    following, forgotten, begun = set[str](), list[str](), asyncio.Queue[str]()

    async def follow(_: Any, __: Any, ___: Any, session: str, *_more: Any) -> None:
        following.add(session)
        begun.put_nowait(session)
        try:
            await asyncio.Event().wait()
        finally:
            following.discard(session)

    async def work(token: str) -> web.Response:
        return web.Response(body=b"{}", headers={SESSION: token})

    clients = SseClients(
        SimpleNamespace(follow=follow, forget=forgotten.append),  # type: ignore[arg-type]
        SimpleNamespace(open=lambda token, *_: token),  # type: ignore[arg-type]
    )
    one: Any = SimpleNamespace(id="one", name="one", transport="http")
    exchange: Any = SimpleNamespace(message=SimpleNamespace(id=b"1", is_request=True))
    client = SseClient(SimpleNamespace(transport=None), one, one)  # type: ignore[arg-type]
    try:
        for token in ("first", "second"):
            clients.take(client, exchange, partial(work, token))
            assert await asyncio.wait_for(begun.get(), 60) == token
        assert (following, forgotten) == ({"second"}, ["first"])
    finally:
        await client.tasks.stop()


def test_the_place_is_its_own_clients_alone(serving: tuple[Daemon, str]) -> None:
    """Another key, another connection, another id and an ended stream answer alike."""
    daemon, key = serving
    other = daemon.add_key("other")
    with stream(daemon, key) as (place, _), stream(daemon, key) as (second, _):
        assert place != second
        foreign = daemon.tcp("POST", place, ping(), key=other)
        elsewhere = daemon.tcp("POST", place.replace("stateless", "stdio"), ping(), key=key)
        unknown = daemon.tcp("POST", place[:-4] + "AAAA", ping(), key=key)
        assert daemon.tcp("POST", place, ping()).status == 401
    until(lambda: daemon.tcp("POST", place, ping(), key=key).status == 404)
    assert {foreign.status, elsewhere.status, unknown.status} == {404}
    assert foreign.body == elsewhere.body == unknown.body
    daemon.control("DELETE", "/v1/keys/other")


def test_what_is_no_message_of_it_is_refused(serving: tuple[Daemon, str]) -> None:
    """405 is what tells a client that tries both transports which one is here."""
    daemon, key = serving
    assert daemon.tcp("POST", "/mcp/stateless/sse", ping(), key=key).status == 405
    assert daemon.tcp("DELETE", "/mcp/stateless/sse", key=key).status == 405
    assert daemon.tcp("GET", "/mcp/nothing/sse", key=key).status == 404
    assert daemon.tcp("POST", "/mcp/sse", ping(), key=key).status == 405
    with stream(daemon, key) as (place, _):
        assert daemon.tcp("POST", place, b"{", key=key).status == 400
        assert daemon.tcp("POST", place, [ping()], key=key).status == 400
        wrong = {"Content_Type": "text/plain"}
        assert daemon.tcp("POST", place, ping(), key=key, **wrong).status == 415
        foreign = {"Origin": "http://evil.example"}
        assert daemon.tcp("POST", place, ping(), key=key, **foreign).status == 403
        assert daemon.tcp("POST", place, ping(), key=key, Host="evil.example").status == 421


def test_a_grant_decides_as_everywhere(serving: tuple[Daemon, str]) -> None:
    daemon, _ = serving
    narrow = daemon.add_key("narrow", "stateless/test_simple_text")
    assert daemon.tcp("GET", "/mcp/stdio/sse", key=narrow).status == 403

    async def ask() -> tuple[list[str], Any]:
        async with client((daemon, narrow), "stateless") as made:
            names = [tool.name for tool in (await made.list_tools()).tools]
            return names, await made.call_tool("test_error_handling", {})

    names, refused = asyncio.run(ask())
    assert names == ["test_simple_text"]
    assert refused.is_error
    assert "meshctl/denied" in (refused.meta or {})
    daemon.control("DELETE", "/v1/keys/narrow")


def test_the_stream_ends_when_its_key_changes(serving: tuple[Daemon, str]) -> None:
    """Before the next thing is said; a revoked key's messages are not even taken."""
    daemon, _ = serving
    key = daemon.add_key("narrowed")
    with stream(daemon, key) as (place, wire):
        daemon.control("PATCH", "/v1/keys/narrowed", {"allow": ["stateless/x"], "revoke": ["*"]})
        assert daemon.tcp("POST", place, ping(), key=key).status == 202
        got = b""
        while piece := wire.recv(4096):
            got += piece
        assert b"result" not in got
    with stream(daemon, key) as (place, _):
        daemon.control("DELETE", "/v1/keys/narrowed")
        assert daemon.tcp("POST", place, ping(), key=key).status == 401


async def test_a_client_that_hangs_up_cancels_its_calls(serving: tuple[Daemon, str]) -> None:
    """There is no way to resume this transport, so nobody could get the answer."""
    daemon, key = serving
    with stream(daemon, key, "stdio") as (place, _):
        call = {"name": "test_tool_with_progress", "arguments": {}}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        assert daemon.tcp("POST", place, message, key=key).status == 202
    shown = until(
        lambda: [
            found
            for found in daemon.control("GET", "/v1/calls?connection=stdio&limit=1")
            if found["error"] is not None
        ]
    )
    assert "cancelled" in shown[0]["error"]

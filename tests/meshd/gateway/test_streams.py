"""What servers say unasked: the stream of server messages, progress, and cancellation."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from socket import socket
from threading import Event
from typing import Any

import aiohttp
import pytest

from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.upstream import SESSION, Seen, Upstream, answer, upstream
from tests.support.wait import until

STREAM = {"Accept": "text/event-stream"}
BOTH = {"Accept": "application/json, text/event-stream"}
DEADLINE = 10


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream() as made:
        yield made


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon, server: Upstream) -> str:
    shared_daemon.connect("stdio", *stdio_server.command())
    shared_daemon.connect_http("http", server.url)
    return shared_daemon.add_key("client")


@pytest.fixture
async def http(shared_daemon: Daemon, key: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client with the key, relative to the daemon, with as many connections as it needs."""
    headers = {"Authorization": f"Bearer {key}"}
    many = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(shared_daemon.url, headers=headers, connector=many) as session:
        yield session


@asynccontextmanager
async def listening(
    http: aiohttp.ClientSession, connection: str, **headers: str
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The messages of the stream of server messages, once it is open."""
    async with http.get(f"/mcp/{connection}", headers=STREAM | headers) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        first = await asyncio.wait_for(response.content.readline(), DEADLINE)
        assert first.startswith(b":"), "an open stream says so at once"
        yield messages(response)


async def messages(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """The data of each event."""
    async for line in response.content:
        if line.startswith(b"data:"):
            yield json.loads(line[5:])


def call(name: str, ident: int = 1, meta: dict[str, Any] | None = None, **arguments: Any) -> Any:
    """A tool call's message."""
    params = {"name": name, "arguments": arguments, **({"_meta": meta} if meta else {})}
    return {"jsonrpc": "2.0", "id": ident, "method": "tools/call", "params": params}


async def post(http: aiohttp.ClientSession, message: Any, connection: str = "stdio") -> Any:
    """The JSON of the answer."""
    async with http.post(f"/mcp/{connection}", json=message, headers=BOTH) as response:
        body = await response.read()
        return json.loads(body) if body else None


async def test_a_changed_list_of_a_stdio_server_arrives(http: aiohttp.ClientSession) -> None:
    """At everybody who listens."""
    async with listening(http, "stdio") as one, listening(http, "stdio") as other:
        await post(http, call("turn", read_only=True))
        for stream in (one, other):
            heard = await asyncio.wait_for(anext(stream), DEADLINE)
            assert heard == {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}


async def test_the_stream_of_an_http_server_is_relayed(
    http: aiohttp.ClientSession, server: Upstream
) -> None:
    """As it comes, under the upstream's session, from the event the client last saw."""
    said, more = b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}', Event()

    def reply(_: Seen, wire: socket) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        wire.sendall(head + b": open\n\nid: 6\ndata: " + said + b"\n\n")
        more.wait(DEADLINE)
        wire.sendall(b"id: 7\ndata: " + said + b"\n\n")

    server.replies["GET"] = reply
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}
    async with http.post("/mcp/http", json=hello, headers=BOTH) as response:
        session = response.headers["Mcp-Session-Id"]
    given = {"Mcp-Session-Id": session, "Last-Event-ID": "5"}
    async with listening(http, "http", **given) as stream:
        assert await asyncio.wait_for(anext(stream), DEADLINE) == json.loads(said)
        more.set()  # the first arrived while the second was not even written
        assert await asyncio.wait_for(anext(stream), DEADLINE) == json.loads(said)
    seen = server.of("GET")[-1]
    assert (seen.header("Mcp-Session-Id"), seen.header("Last-Event-ID")) == (SESSION, "5")


async def test_an_http_server_without_a_stream_says_so(
    http: aiohttp.ClientSession, server: Upstream
) -> None:
    """405 is the protocol's answer, and passes."""
    server.replies["GET"] = answer(b"", status="405 Method Not Allowed")
    async with http.get("/mcp/http", headers=STREAM) as response:
        assert response.status == 405


async def test_a_cancelled_call_is_cancelled_at_the_stdio_server(
    shared_daemon: Daemon, http: aiohttp.ClientSession, key: str
) -> None:
    """Exactly that one: another with the same JSON-RPC id in another session goes on."""
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}
    sessions = []
    for _ in range(2):
        async with http.post("/mcp/stdio", json=hello, headers=BOTH) as response:
            sessions.append({"Mcp-Session-Id": response.headers["Mcp-Session-Id"]})

    async def hang(session: dict[str, str], mark: str) -> int:
        message = call("hang", ident=5, mark=mark)
        async with http.post("/mcp/stdio", json=message, headers=BOTH | session) as response:
            return response.status

    def seen() -> Any:
        params = {"name": "seen", "arguments": {}}
        got = shared_daemon.rpc("stdio", "tools/call", params, key=key)
        return got.json()["result"]["structuredContent"]["value"]

    first, second = (
        asyncio.create_task(hang(session, mark))
        for session, mark in zip(sessions, ("first", "second"), strict=True)
    )
    await asyncio.to_thread(until, lambda: {"first", "second"} <= set(seen()["hanging"]))
    stop = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}
    async with http.post("/mcp/stdio", json=stop, headers=BOTH | sessions[0]) as response:
        assert response.status == 202
    await asyncio.to_thread(until, lambda: seen()["cancelled"] == ["first"])
    assert await asyncio.wait_for(first, DEADLINE) < 300
    assert seen()["hanging"] == ["second"]
    assert not second.done()
    async with http.post("/mcp/stdio", json=stop, headers=BOTH | sessions[1]) as response:
        assert response.status == 202
    await asyncio.wait_for(second, DEADLINE)


async def test_a_cancellation_reaches_an_http_server(
    http: aiohttp.ClientSession, server: Upstream
) -> None:
    """Byte for byte, like every notification."""
    stop = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5.0 }}'
    headers = BOTH | {"Content-Type": "application/json"}
    async with http.post("/mcp/http", data=stop, headers=headers) as response:
        assert response.status == 202
    assert server.of("notifications/cancelled")[-1].body == stop


async def test_two_hundred_clients_share_a_child(
    shared_daemon: Daemon, http: aiohttp.ClientSession
) -> None:
    """All with the same request id and progress token; each gets its own progress and answer."""
    clients = 200

    async def ask(mark: str) -> list[dict[str, Any]]:
        message = call("gather", ident=7, meta={"progressToken": 7}, of=clients, mark=mark)
        async with http.post("/mcp/stdio", json=message, headers=BOTH) as response:
            return [said async for said in messages(response)]

    marks = [f"client-{number}" for number in range(clients)]
    answers = await asyncio.wait_for(asyncio.gather(*map(ask, marks)), 60)
    for mark, (progress, last) in zip(marks, answers, strict=True):
        about = {"progressToken": 7, "progress": 1, "message": mark}
        assert progress == {"jsonrpc": "2.0", "method": "notifications/progress", "params": about}
        assert (last["id"], last["result"]["structuredContent"]["value"]) == (7, mark)


async def test_a_client_that_takes_no_streams_gets_json(http: aiohttp.ClientSession) -> None:
    """The progress it cannot take is left out; nobody else's stream gets it."""
    message = call("gather", meta={"progressToken": "t"}, of=1, mark="alone")
    headers = {"Accept": "application/json"}
    async with http.post("/mcp/stdio", json=message, headers=headers) as response:
        assert response.content_type == "application/json"
        assert (await response.json())["result"]["structuredContent"]["value"] == "alone"

"""Clients and servers of different eras, each with the official SDK: what one asks, the other hears."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import mcp_types as t
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.conformance.house import house
from tests.support.daemon import Daemon

MODES = ("legacy", "2026-07-28")
UPSTREAMS = ("handshake", "stateless", "sse-only", "stdio")


@pytest.fixture(scope="module")
def serving() -> Iterator[tuple[Daemon, str]]:
    with house() as made:
        yield made


@asynccontextmanager
async def client(
    serving: tuple[Daemon, str], connection: str, mode: Any, **callbacks: Any
) -> AsyncIterator[Client]:
    """A client that answers what it is asked."""

    async def elicited(_context: Any, params: Any) -> t.ElicitResult:
        return t.ElicitResult(action="accept", content={"name": "Ada", "ok": True, "color": "red"})

    async def sampled(_context: Any, params: Any) -> t.CreateMessageResult:
        said = t.TextContent(type="text", text="Paris")
        return t.CreateMessageResult(role="assistant", content=said, model="m")

    async def roots(_context: Any) -> t.ListRootsResult:
        return t.ListRootsResult(roots=[t.Root(uri="file:///work")])

    daemon, key = serving
    answers = {
        "elicitation_callback": elicited, "sampling_callback": sampled,
        "list_roots_callback": roots,
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        transport = streamable_http_client(f"{daemon.url}/mcp/{connection}", http_client=http)
        async with Client(transport, mode=mode, **(answers | callbacks)) as made:
            yield made


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("mode", MODES)
async def test_what_a_server_asks_in_a_call(
    serving: tuple[Daemon, str], mode: str, upstream: str
) -> None:
    """A form, a model, roots, and several rounds, in all pairs."""
    async with client(serving, upstream, mode) as made:
        for tool, said in (
            ("elicitation", "Hello, Ada!"),
            ("sampling", "Paris"),
            ("list_roots", "file:///work"),
            ("multi_round", "multi-round complete"),
            ("request_state", "state-ok"),
        ):
            got = await made.call_tool(f"test_input_required_result_{tool}", {})
            assert said in got.content[0].text, tool


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("mode", MODES)
async def test_a_client_that_offers_nothing_is_not_asked(
    serving: tuple[Daemon, str], mode: str, upstream: str
) -> None:
    """The server sees what the client declared, whichever era either speaks."""
    nothing = dict.fromkeys(("elicitation_callback", "sampling_callback", "list_roots_callback"))
    async with client(serving, upstream, mode, **nothing) as made:
        got = await made.call_tool("test_input_required_result_capabilities", {})
        assert got.content[0].text == "no client capability to use"


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("mode", MODES)
async def test_progress(serving: tuple[Daemon, str], mode: str, upstream: str) -> None:
    """It comes before the answer, to its own caller."""
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    async with client(serving, upstream, mode) as made:
        await made.call_tool("test_tool_with_progress", {}, progress_callback=hear)
    assert heard == [0, 50, 100]


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("mode", MODES)
async def test_a_resource_that_is_not_there(
    serving: tuple[Daemon, str], mode: str, upstream: str
) -> None:
    """Each era's client gets an error, and what is there is read."""
    async with client(serving, upstream, mode) as made:
        found = await made.read_resource("test://static-text")
        assert "static text" in found.contents[0].text
        with pytest.raises(Exception, match="not found"):
            await made.read_resource("test://nowhere")


@pytest.mark.parametrize("upstream", ["stateless", "stdio"])
async def test_a_stateless_client_hears_of_changes(
    serving: tuple[Daemon, str], upstream: str
) -> None:
    """By `subscriptions/listen`."""
    async with (
        client(serving, upstream, "2026-07-28") as made,
        made.listen(tools_list_changed=True) as heard,
    ):
        await made.call_tool("test_trigger_tool_change", {})
        async with asyncio.timeout(10):
            event = await anext(aiter(heard))
    assert type(event).__name__ == "ToolsListChanged"


@pytest.mark.parametrize("upstream", ["stateless", "stdio"])
async def test_a_handshake_client_hears_of_changes_of_a_stateless_server(
    serving: tuple[Daemon, str], upstream: str
) -> None:
    """On its stream of server messages."""
    heard = asyncio.Event()

    async def hear(message: Any) -> None:
        if "ToolListChanged" in type(message).__name__ or "ToolListChanged" in repr(message):
            heard.set()

    async with client(serving, upstream, "legacy", message_handler=hear) as made:
        async with asyncio.timeout(15):
            while not heard.is_set():  # the stream opens after the session, at its own pace
                await made.call_tool("test_trigger_tool_change", {})


@pytest.mark.parametrize("upstream", ["stateless", "sse-only"])
async def test_logs_reach_who_wants_them(serving: tuple[Daemon, str], upstream: str) -> None:
    """A handshake client's level goes to a stateless server with each request."""
    heard: list[str] = []

    async def hear(params: Any) -> None:
        heard.append(str(params.data))

    async with client(serving, upstream, "legacy", logging_callback=hear) as made:
        await made.call_tool("test_tool_with_logging", {})
        assert heard == []
        with pytest.warns(match="deprecated"):
            await made.session.set_logging_level("info")
        await made.call_tool("test_tool_with_logging", {})
    assert heard[-1] == "Tool execution completed"


@pytest.mark.parametrize(
    ("upstream", "speaks"),
    [
        ("handshake", "2025-11-25"),
        ("stateless", "2026-07-28"),
        ("sse-only", "2025-11-25"),
        ("stdio", "2026-07-28"),
    ],
)
def test_what_each_speaks(serving: tuple[Daemon, str], upstream: str, speaks: str) -> None:
    """As `connection show` tells it."""
    shown = serving[0].control("GET", f"/v1/connections/{upstream}")
    assert shown["protocol"] == speaks

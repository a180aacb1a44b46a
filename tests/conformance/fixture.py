"""The MCP server that the conformance scenarios are run against, behind the gateway.

    python -m tests.conformance.fixture --era handshake|stateless   # HTTP; prints its URL
    python -m tests.conformance.fixture --era sse                   # the transport of 2024-11-05
    python -m tests.conformance.fixture --stdio                     # both eras

It stands on the official SDK and asks its client in whichever era it is asked itself.
"""

import argparse
import asyncio
import json
import logging
import socket
import warnings
from typing import Any

import mcp_types as t
from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http import EventMessage, EventStore
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler

from tests.conformance import others
from tests.conformance.asking import MODERN
from tests.conformance.content import TOOL_SCHEMAS
from tests.conformance.tools import Tools


class Remembered(EventStore):
    """Keeps every event of every stream, so that a client may poll for what it missed."""

    def __init__(self) -> None:
        self._streams: list[str] = []
        self._messages: list[Any] = []

    async def store_event(self, stream_id: str, message: Any) -> str:
        """An event's id is its place among all events."""
        self._streams.append(stream_id)
        self._messages.append(message)
        return str(len(self._streams) - 1)

    async def replay_events_after(self, last_event_id: str, send_callback: Any) -> str | None:
        """Send what came later on the stream of that event."""
        last = int(last_event_id)
        wanted = self._streams[last]
        later = range(last + 1, len(self._streams))
        missed = [place for place in later if self._streams[place] == wanted]
        for place in missed:
            if self._messages[place] is not None:  # an empty one only gives the client an id
                await send_callback(EventMessage(self._messages[place], str(place)))
        return wanted


def build() -> Server[Any]:
    """The whole server."""
    bus = InMemorySubscriptionBus()
    tools = Tools(bus)
    return Server(
        "conformance-fixture",
        version="1.0.0",
        instructions="Fixture for the MCP conformance suite.",
        get_tool_input_schema=TOOL_SCHEMAS.get,
        on_list_tools=tools.list,
        on_call_tool=tools.call,
        on_list_resources=others.list_resources,
        on_list_resource_templates=others.list_templates,
        on_read_resource=others.read_resource,
        on_subscribe_resource=others.subscribe,
        on_unsubscribe_resource=others.unsubscribe,
        on_subscriptions_listen=ListenHandler(bus),
        on_list_prompts=others.list_prompts,
        on_get_prompt=others.get_prompt,
        on_completion=others.complete,
        on_set_logging_level=others.set_level,
    )


def one_era(inner: Any, era: str) -> Any:
    """An HTTP face of one era alone, that refuses the other as servers of that era do."""
    modern = era == "stateless"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def refuse(status: int, code: int, message: str) -> None:
            error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
            head = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": status, "headers": head})
            await send({"type": "http.response.body", "body": json.dumps(error).encode()})

        if scope["type"] != "http":
            await inner(scope, receive, send)
            return
        version = dict(scope["headers"]).get(b"mcp-protocol-version", b"").decode()
        if not modern and version == MODERN:
            await refuse(400, -32000, "Bad Request: Server not initialized")
        elif modern and scope["method"] != "POST":
            await refuse(405, -32000, "Method Not Allowed")
        elif modern and version != MODERN:
            await refuse(400, t.HEADER_MISMATCH, f"MCP-Protocol-Version must be {MODERN}")
        else:
            await inner(scope, receive, send)

    return app


def main() -> None:
    """Serve until killed."""
    cli = argparse.ArgumentParser("python -m tests.conformance.fixture", description=__doc__)
    cli.add_argument("--stdio", action="store_true")
    cli.add_argument("--era", choices=["handshake", "stateless", "sse"], default="handshake")
    asked = cli.parse_args()
    logging.basicConfig(level=logging.ERROR)
    warnings.simplefilter("ignore")  # the SDK calls what it serves here deprecated
    server = build()
    asyncio.run(_on_stdio(server) if asked.stdio else _on_http(server, asked.era))


async def _on_stdio(server: Server[Any]) -> None:
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


def on_sse(server: Server[Any]) -> Any:
    """The face of HTTP+SSE at `/old`, as old servers have it: no message is taken there."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Mount, Route

    transport = SseServerTransport("/messages/")

    async def stream(request: Request) -> Response:
        async with transport.connect_sse(request.scope, request.receive, request._send) as streams:
            await server.run(*streams, server.create_initialization_options())
        return Response()

    routes = [Route("/old", stream), Mount("/messages/", app=transport.handle_post_message)]
    return Starlette(routes=routes)


async def _on_http(server: Server[Any], era: str) -> None:
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    if era == "sse":
        app, path = on_sse(server), "old"
    else:
        made = server.streamable_http_app(event_store=Remembered(), retry_interval=500)
        app, path = one_era(made, era), "mcp"
    config = uvicorn.Config(app, log_level="error", lifespan="on")
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/{path}", flush=True)
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    main()

"""A small HTTP+SSE server (MCP 2024-11-05) in the test's own event loop, that does as it is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Act = Callable[["SseServer", str, dict[str, Any]], Awaitable[None]]
"""Deals with one message of a session; what it has to say it says on the stream."""


@dataclass
class SseServer:
    """While it runs: its streams, what it was sent, and how it answers."""

    url: str = ""
    endpoint: str = "/messages?session={session}"
    """What it names as the place for messages."""
    status: int = 202
    """How it answers every message."""
    seen: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    acts: dict[str, Act] = field(default_factory=dict)
    streams: dict[str, asyncio.Queue[bytes | None]] = field(default_factory=dict)
    opened: int = 0

    def of(self, method: str) -> list[dict[str, Any]]:
        """The messages of one method, oldest first."""
        return [message for _, message in self.seen if message.get("method") == method]

    def say(self, session: str, message: dict[str, Any]) -> None:
        """Send a message on a stream."""
        data = json.dumps({"jsonrpc": "2.0", **message})
        self.streams[session].put_nowait(f"event: message\ndata: {data}\n\n".encode())

    def forget(self) -> None:
        """End every stream, as a restart does."""
        for stream in self.streams.values():
            stream.put_nowait(None)
        self.streams.clear()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        self.opened += 1
        session = f"s{self.opened}"
        self.headers.append(dict(request.headers))
        mine = self.streams[session] = asyncio.Queue()
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        place = self.endpoint.format(session=session)
        await answer.write(f": hello\n\nevent: endpoint\ndata: {place}\n\n".encode())
        while (event := await mine.get()) is not None:
            await answer.write(event)
        return answer

    async def take(self, request: web.Request) -> web.StreamResponse:
        session, message = request.query["session"], await request.json()
        self.headers.append(dict(request.headers))
        if session not in self.streams:
            return web.Response(status=404)
        self.seen.append((session, message))
        if self.status == 202 and (method := message.get("method")):
            await self.acts.get(method, _usual)(self, session, message)
        return web.Response(status=self.status)


async def _usual(server: SseServer, session: str, message: dict[str, Any]) -> None:
    """Answer as a server with one tool."""
    results = {
        "initialize": {
            "protocolVersion": "2024-11-05",
            "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "old", "version": "1"},
        },
        "tools/list": {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]},
    }
    if "id" in message:
        said = json.dumps(message.get("params", {}).get("arguments", {}))
        usual = {"content": [{"type": "text", "text": said}]}
        server.say(session, {"id": message["id"], "result": results.get(message["method"], usual)})


@asynccontextmanager
async def sse_server(**settings: Any) -> AsyncIterator[SseServer]:
    """The server, at a free port of this machine; only its stream and its messages are there."""
    server = SseServer(**settings)
    app = web.Application()
    app.add_routes([web.get("/sse", server.stream), web.get("/old", server.stream)])
    app.add_routes([web.post("/messages", server.take)])
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/sse"
    try:
        yield server
    finally:
        server.forget()
        await runner.cleanup()

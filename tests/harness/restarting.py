"""An MCP server of any HTTP kind in the caller's own event loop, that can go and come back.

`go` does to its clients what a kill does: connections are reset, calls under way and sessions are
lost, and nobody listens at its port until `come`.
"""

import asyncio
import json
import random
import secrets
import socket
from collections import Counter
from contextlib import suppress
from typing import Any

from aiohttp import web

ERAS = ("handshake", "stateless", "http-sse")
MODERN = "2026-07-28"
TOOLS = [
    {"name": "look", "inputSchema": {"type": "object"}, "annotations": {"idempotentHint": True}},
    {"name": "put", "inputSchema": {"type": "object"}},
]
_HEADERS = {"Content-Type": "text/event-stream"}


class Restarting:
    """Answers `look` and `put` with their argument `n`, after up to `slow` seconds."""

    def __init__(self, era: str, *, slow: float = 0.02) -> None:
        self.came: Counter[str] = Counter()
        """Requests by method."""
        self.ran: Counter[tuple[str, Any]] = Counter()
        """How often each tool ran with each `n`."""
        self._era = era
        self._slow = slow
        self._sessions: set[str] = set()
        self._streams: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._server = web.Server(self._handle, handler_cancellation=True)
        self._listener: asyncio.Server | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/mcp"

    async def come(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._server, "127.0.0.1", self._port)

    async def go(self) -> None:
        """Be killed."""
        assert self._listener is not None
        self._listener.close()
        self._sessions.clear()
        self._streams.clear()
        for connection in self._server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(0)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "GET" and self._era == "http-sse":
            return await self._stream(request)
        if request.method != "POST":
            return web.Response(status=405)
        message = json.loads(await request.read())
        method = message.get("method", "")
        self.came[method] += 1
        if self._era == "http-sse":
            return await self._post(request, message)
        modern = request.headers.get("MCP-Protocol-Version") == MODERN
        if modern != (self._era == "stateless"):
            return web.Response(status=400)
        if method == "initialize":
            session = secrets.token_hex(8)
            self._sessions.add(session)
            answer = await self._answer(message)
            return web.json_response(answer, headers={"Mcp-Session-Id": session})
        if not modern and request.headers.get("Mcp-Session-Id") not in self._sessions:
            return web.Response(status=404)
        if "id" not in message:
            return web.Response(status=202)
        return web.json_response(await self._answer(message))

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        session = secrets.token_hex(8)
        mine = self._streams[session] = asyncio.Queue()
        answer = web.StreamResponse(headers=_HEADERS)
        await answer.prepare(request)
        await answer.write(f"event: endpoint\ndata: /mcp?session={session}\n\n".encode())
        with suppress(ConnectionError):
            while True:
                await answer.write(f"data: {json.dumps(await mine.get())}\n\n".encode())
        return answer

    async def _post(self, request: web.BaseRequest, message: dict[str, Any]) -> web.Response:
        session = request.rel_url.query.get("session")
        if session is None:
            return web.Response(status=405)
        if session not in self._streams:
            return web.Response(status=404)
        if "id" in message:
            answer = await self._answer(message)
            if session in self._streams:
                self._streams[session].put_nowait(answer)
        return web.Response(status=202)

    async def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        params = message.get("params", {})
        result: dict[str, Any] = {"resultType": "complete"} if self._era == "stateless" else {}
        match message["method"]:
            case "initialize":
                info = {"name": "restarting", "version": "1"}
                version = "2025-11-25"
                result = {"protocolVersion": version, "capabilities": {"tools": {}}}
                result["serverInfo"] = info
            case "server/discover":
                result |= {"supportedVersions": [MODERN], "capabilities": {"tools": {}}}
                result |= {"ttlMs": 0, "cacheScope": "private"}
            case "tools/list":
                result |= {"tools": TOOLS, "ttlMs": 0, "cacheScope": "private"}
            case _:
                number = params["arguments"]["n"]
                self.ran[params["name"], number] += 1
                await asyncio.sleep(random.random() * self._slow)
                result |= {"content": [{"type": "text", "text": json.dumps(number)}]}
        return {"jsonrpc": "2.0", "id": message["id"], "result": result}

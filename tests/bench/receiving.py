"""The subscriber that deliveries are measured against: asyncio, and nothing done with an event.

`python -m tests.bench.receiving` prints its URL. It is an MCP server whose `ON_EVENTS` says
success, and a webhook receiver at any other path than `/mcp`. `PUT` makes it keep every answer back
until the next `DELETE`; `GET` tells how many events came, at `/next` once one more has.
"""

import asyncio

import msgspec
from aiohttp import web

from tests.bench.server import run
from tests.bench.upstream import SESSION, VERSION

_HELLO = {
    "protocolVersion": VERSION,
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "receiving", "version": "1"},
}
_TOOLS = {"tools": [{"name": "ON_EVENTS", "inputSchema": {"type": "object"}}]}
_TAKEN = {"content": [], "structuredContent": {"success": True}}


class Receiver:
    """Counts."""

    def __init__(self) -> None:
        self._came = 0
        self._open = asyncio.Event()
        self._open.set()
        self._next = asyncio.Event()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        match request.method:
            case "GET":
                if request.path == "/next":
                    await self._next.wait()
                return web.json_response({"came": self._came})
            case "PUT":
                self._open.clear()
                return web.Response(status=204)
            case "DELETE":
                self._open.set()
                return web.Response(status=204)
        body = await request.read()
        if request.path != "/mcp":
            await self._take(1)
            return web.Response(status=204)
        message = msgspec.json.decode(body)
        if "id" not in message:
            return web.Response(status=202)
        answer = {"jsonrpc": "2.0", "id": message["id"]}
        match message["method"]:
            case "initialize":
                answer["result"] = _HELLO
            case "tools/list":
                answer["result"] = _TOOLS
            case "tools/call":
                await self._take(len(message["params"]["arguments"]["events"]))
                answer["result"] = _TAKEN
            case _:
                answer["error"] = {"code": -32601, "message": "there is no such method"}
        return web.Response(
            body=msgspec.json.encode(answer), content_type="application/json",
            headers={SESSION: "receiving"},
        )  # fmt: skip

    async def _take(self, number: int) -> None:
        await self._open.wait()
        self._came += number
        self._next.set()
        self._next = asyncio.Event()


if __name__ == "__main__":
    run(Receiver().handle)

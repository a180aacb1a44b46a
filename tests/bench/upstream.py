"""The MCP server behind everything that is measured: an echo tool among many, sessions, counts.

`python -m tests.bench.upstream` prints its URL. `GET` tells how many requests of each method came.
"""

import secrets
from collections import Counter
from typing import Any

import msgspec
from aiohttp import web

from tests.bench.server import run

TOOLS = 120
VERSION = "2025-11-25"
SESSION = "Mcp-Session-Id"


class Upstream:
    """Answers in JSON, at once, and remembers the sessions that it gave."""

    def __init__(self) -> None:
        self._sessions: set[str] = set()
        self._came: Counter[str] = Counter()
        self._tools = [_tool("echo"), *(_tool(f"lookup_{number}") for number in range(1, TOOLS))]

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        if request.method == "GET":
            return _json(self._came)
        if request.method != "POST":
            return web.Response(status=405)
        message = msgspec.json.decode(await request.read())
        method = message["method"]
        self._came[method] += 1
        if "id" not in message:
            return web.Response(status=202)
        if method == "initialize":
            session = secrets.token_hex(16)
            self._sessions.add(session)
            return _json(_answer(message, _HELLO), {SESSION: session})
        if request.headers.get(SESSION) not in self._sessions:
            return web.Response(status=404)
        if method == "tools/list":
            return _json(_answer(message, {"tools": self._tools}))
        text = message["params"]["arguments"]["text"]
        return _json(_answer(message, {"content": [{"type": "text", "text": text}]}))


_HELLO = {
    "protocolVersion": VERSION,
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "bench", "version": "1"},
}


def _answer(message: dict[str, Any], result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def _json(body: Any, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), content_type="application/json", headers=headers
    )


def _tool(name: str) -> dict[str, Any]:
    text = {"type": "string", "description": "What to look for, as it is written."}
    return {
        "name": name,
        "description": "Looks up records and answers with a page of them, newest first.",
        "inputSchema": {"type": "object", "properties": {"text": text}, "required": ["text"]},
    }


if __name__ == "__main__":
    run(Upstream().handle)

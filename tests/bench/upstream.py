"""The MCP server behind everything that is measured: an echo tool among many, sessions, counts.

`python -m tests.bench.upstream [--tools N]` prints its URL. `GET` tells how many requests of each
method came. The tool `stream` answers with a stream of as many notifications as it is told.
"""

import argparse
import secrets
from collections import Counter
from contextlib import suppress
from typing import Any

import msgspec
from aiohttp import web

from tests.bench.server import run

TOOLS = 120
VERSION = "2025-11-25"
SESSION = "Mcp-Session-Id"


class Upstream:
    """Answers in JSON, at once, and remembers the sessions that it gave."""

    def __init__(self, tools: int) -> None:
        self._sessions: set[str] = set()
        self._came: Counter[str] = Counter()
        self._tools = [_tool("echo"), *(_tool(f"lookup_{number}") for number in range(1, tools))]

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        if request.method == "GET":
            return _json(self._came)
        if request.method == "DELETE":
            known = request.headers.get(SESSION, "") in self._sessions
            self._sessions.discard(request.headers.get(SESSION, ""))
            return web.Response(status=200 if known else 404)
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
        if message["params"]["name"] == "stream":
            return await _stream(request, message)
        text = message["params"]["arguments"]["text"]
        return _json(_answer(message, {"content": [{"type": "text", "text": text}]}))


_HELLO = {
    "protocolVersion": VERSION,
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "bench", "version": "1"},
}


def _answer(message: dict[str, Any], result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


async def _stream(request: web.BaseRequest, message: dict[str, Any]) -> web.StreamResponse:
    """Progress, as often as asked for, then the answer."""
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    with suppress(ConnectionError):  # the round is over
        await _write(request, message, answer)
    return answer


async def _write(
    request: web.BaseRequest, message: dict[str, Any], answer: web.StreamResponse
) -> None:
    given = message["params"]
    await answer.prepare(request)
    for number in range(1, given["arguments"]["events"] + 1):
        progress = {"progressToken": given["_meta"]["progressToken"], "progress": number}
        said = {"jsonrpc": "2.0", "method": "notifications/progress", "params": progress}
        await answer.write(_event(said))
    text = given["arguments"]["text"]
    await answer.write(_event(_answer(message, {"content": [{"type": "text", "text": text}]})))


def _event(body: Any) -> bytes:
    return b"event: message\ndata: %b\n\n" % msgspec.json.encode(body)


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
    parser = argparse.ArgumentParser("python -m tests.bench.upstream")
    parser.add_argument("--tools", type=int, default=TOOLS)
    run(Upstream(parser.parse_args().tools).handle)

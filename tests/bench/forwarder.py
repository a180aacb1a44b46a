"""The floor in Python: forwards each request with aiohttp, knows no rule and keeps no record."""

import sys

import aiohttp
from aiohttp import web

from tests.bench.server import run

PASSED = ("Content-Type", "Accept", "Mcp-Session-Id", "MCP-Protocol-Version")


class Forwarder:
    """Sends what comes to one URL and what that answers back."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._client: aiohttp.ClientSession | None = None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Forward one request."""
        if self._client is None:
            self._client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        body = await request.read()
        async with self._client.request(
            request.method, self._target, data=body, headers=_passed(request.headers)
        ) as answer:
            data = await answer.read()
            return web.Response(body=data, status=answer.status, headers=_passed(answer.headers))


def _passed(headers: "aiohttp.typedefs.LooseHeaders") -> dict[str, str]:
    return {name: headers[name] for name in PASSED if name in headers}


if __name__ == "__main__":
    run(Forwarder(sys.argv[1]).handle)

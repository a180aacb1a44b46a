"""A door in front of a connection that adds its key: the conformance suite cannot send headers.

Nothing else changes, but that Host and Origin name the gateway where they name the door. A client
that hangs up hangs up at the gateway as well.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
from aiohttp import web
from yarl import URL

_OWN = frozenset({"connection", "content-length", "transfer-encoding", "keep-alive"})


@asynccontextmanager
async def opened(target: str, key: str) -> AsyncIterator[str]:
    """The URL of a door to `target`."""
    url, timeout = URL(target), aiohttp.ClientTimeout(total=None)
    port = 0
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as client:

        async def pass_on(request: web.BaseRequest) -> web.StreamResponse:
            headers = {n: v for n, v in request.headers.items() if n.lower() not in _OWN}
            for name in ("Host", "Origin"):  # what names the door is meant for the gateway
                headers[name] = headers.get(name, "").replace(f":{port}", f":{url.port}")
            if not headers["Origin"]:
                del headers["Origin"]
            headers["Authorization"] = f"Bearer {key}"
            body = await request.read()
            async with client.request(
                request.method, url, headers=headers, data=body or None, allow_redirects=False
            ) as got:
                kept = {n: v for n, v in got.headers.items() if n.lower() not in _OWN}
                answer = web.StreamResponse(status=got.status, headers=kept)
                with suppress(ConnectionError):  # the suite hangs up where it tests that
                    await answer.prepare(request)
                    async for chunk in got.content.iter_any():
                        await answer.write(chunk)
                    await answer.write_eof()
                return answer

        runner = web.ServerRunner(
            web.Server(pass_on, handler_cancellation=True), shutdown_timeout=0.1
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            yield f"http://127.0.0.1:{port}{url.path}"
        finally:
            await asyncio.shield(runner.cleanup())

"""NDJSON streams: one object a line, blank lines as heartbeat, an error object as last line."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web

from meshd.wire.errors import MeshError

HEARTBEAT = 10.0
WRITE_DEADLINE = 30.0
"""A reader that takes nothing for so long is cut; it resumes by its cursor."""


async def ndjson(request: web.BaseRequest, items: AsyncIterator[Any]) -> web.StreamResponse:
    """Stream `items`; None among them is a chance for a heartbeat.

    An error before the first item propagates, so that it is answered with its HTTP status.
    """
    first = await anext(items, _END)
    response = web.StreamResponse(
        headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"}
    )
    await response.prepare(request)
    beat = time.monotonic()
    try:
        item = first
        while item is not _END:
            if item is not None:
                async with asyncio.timeout(WRITE_DEADLINE):
                    await response.write(msgspec.json.encode(item) + b"\n")
            elif time.monotonic() - beat >= HEARTBEAT:
                beat = time.monotonic()
                await response.write(b"\n")
            if request.transport is None:
                break
            item = await anext(items, _END)
    except MeshError as error:
        await response.write(msgspec.json.encode(error.body()) + b"\n")
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    finally:
        await items.aclose()  # type: ignore[attr-defined]  # every stream is a generator
    await response.write_eof()
    return response


_END: Any = object()

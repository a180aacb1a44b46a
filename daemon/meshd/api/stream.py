"""NDJSON streams: one object a line, blank lines as heartbeat, an error object as last line."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from aiohttp import web

from meshd.services.failures import failure

HEARTBEAT = 10.0


async def ndjson(
    request: web.BaseRequest,
    items: AsyncIterator[Any],
    admit: Callable[[], object],
) -> web.StreamResponse:
    """Stream `items`; None among them is a chance for a heartbeat.

    A reader that takes nothing is cut by its connection (`Limits.stall`); it resumes by its cursor.

    `admit` raises once the reader may read no more; it is asked before each item. An error before
    the first item propagates, so that it is answered with its HTTP status.
    """
    response = web.StreamResponse(
        headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"}
    )
    try:
        item = await anext(items, _END)
        await response.prepare(request)
        beat = time.monotonic()
        while item is not _END and request.transport is not None:
            admit()
            if item is not None:
                item = msgspec.json.encode(item) + b"\n"  # a slow reader keeps nothing else
                await response.write(item)
            elif time.monotonic() - beat >= HEARTBEAT:
                beat = time.monotonic()
                await response.write(b"\n")
            item = await anext(items, _END)
        await response.write_eof()
    except ConnectionError:
        _abort(request)
    except Exception as error:
        if not response.prepared:
            raise
        # The status is sent, so the error travels as the last line.
        try:
            await response.write(msgspec.json.encode(failure(error, "a stream").body()) + b"\n")
            await response.write_eof()
        except ConnectionError:
            _abort(request)
    finally:
        await items.aclose()  # type: ignore[attr-defined]  # every stream is a generator
    return response


def _abort(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.abort()


_END: Any = object()

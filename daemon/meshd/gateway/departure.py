"""A client that goes away in the middle of its request: in the stateless era that cancels it."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar, cast

from aiohttp import web

from meshd.core.http_connection import Connection

T = TypeVar("T")


async def while_connected(request: web.BaseRequest, work: Awaitable[T]) -> T:
    """Do the work, and drop it at once when the client's connection is lost.

    Raises:
        ConnectionResetError: it was.
    """
    connection, task = cast("Connection", request.protocol), asyncio.current_task()
    assert task is not None  # noqa: S101 - a request is always served by a task
    gone = False

    def leave() -> None:
        nonlocal gone
        gone = True
        task.cancel()

    connection.on_lost = leave
    try:
        return await work
    except asyncio.CancelledError:
        if not gone:
            raise
        task.uncancel()
        raise ConnectionResetError("the client went away") from None
    finally:
        connection.on_lost = None

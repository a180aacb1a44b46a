"""Streams of notifications: kept open by comments, ended when their client may hear no more."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Protocol

from meshd.core.tasks import TaskGroup
from meshd.protocol import sse
from meshd.wire.errors import MeshError

KEEP_ALIVE = 15.0
MAX_WAITING = 1000
"""Notifications kept for a client that is behind; later ones are lost to it."""


class Sink(Protocol):
    """Takes events, as a stream to a client does."""

    async def write(self, data: bytes, /) -> None:
        """Take a whole event."""


async def beside(
    source: AsyncGenerator[bytes, None], more: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """What `source` gives until it ends, and what `more` gives meanwhile. Raises as both do."""
    waiting: dict[asyncio.Task[bytes | Exception | None], AsyncGenerator[bytes, None]] = {}
    going = [source, more]
    async with aclosing(source), aclosing(more), TaskGroup("hearing") as tasks:
        while source in going:
            for one in going:
                if one not in waiting.values():
                    waiting[tasks.start("next", _next(one))] = one
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                one, given = waiting.pop(task), task.result()
                if isinstance(given, Exception):
                    raise given
                if given is None:
                    going.remove(one)
                else:
                    yield given


async def _next(source: AsyncGenerator[bytes, None]) -> bytes | Exception | None:
    try:
        return await anext(source, None)
    except Exception as error:  # noqa: BLE001 - raised by who waits for it
        return error


async def relay(
    answer: Sink,
    source: AsyncGenerator[bytes, None],
    admitted: Callable[[], bool],
    shown: Callable[[bytes], bytes | None],
    stop: asyncio.Event,
) -> None:
    """Write what `source` gives, as `shown` makes it, until it ends or `stop` is set.

    Nothing is written for None. It ends as well when it is no longer `admitted`.
    """
    waiting: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_WAITING + 2)

    async def pump() -> None:
        try:
            with suppress(MeshError):  # the upstream's end is this stream's end
                async with aclosing(source) as heard:
                    async for notification in heard:
                        if waiting.qsize() < MAX_WAITING:
                            waiting.put_nowait(notification)
        finally:
            waiting.put_nowait(None)

    async def wait_for_stop() -> None:
        await stop.wait()
        waiting.put_nowait(None)

    async with TaskGroup("hearing") as tasks:
        tasks.start("pump", pump())
        tasks.start("stop", wait_for_stop())
        while True:
            said: bytes | None = sse.COMMENT
            with suppress(TimeoutError):
                async with asyncio.timeout(KEEP_ALIVE):
                    heard = await waiting.get()
                    if heard is None:
                        return
                    message = shown(heard)
                    said = None if message is None else sse.message(message)
            if not admitted():
                return
            if said is not None:
                await answer.write(said)

"""What a handshake server asks beside its answers: on the stream that belongs to no request.

Such a question does not say which call it is about. While one call alone is under way in its
session it is put to that call; else it is declined, and from then on calls that it might be about
have sessions of their own. Source: MCP 2025-11-25, Transports, "Listening for Messages from the
Server".
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass

from meshd.core.tasks import TaskGroup
from meshd.protocol.jsonrpc import Message
from meshd.proxy.http import HttpUpstream
from meshd.proxy.http_messages import EVENT_STREAM, messages
from meshd.proxy.http_resume import Place
from meshd.wire.errors import MeshError

OPENING = 2.0
"""Seconds that a call waits for the stream to open; a server may be slow to begin it."""
LINGER = 30.0
"""Seconds for which the stream stays open after the last call."""
AGAIN = 1.0
"""Seconds before a stream that ended is opened again, while a call is under way."""

Attend = Callable[[Message, bytes], Awaitable[bool]]
"""Takes what comes before an answer, read and raw; whether a request among it was dealt with."""
Decline = Callable[[Message], Awaitable[None]]
"""Answers a request that nobody can be asked."""


@dataclass(slots=True)
class Habit:
    """What one upstream was seen to do: whether it `asks` its clients there."""

    asks: bool = False


class Aside:
    """The stream of one session, open while calls are under way that may be asked something."""

    def __init__(
        self, upstream: HttpUpstream, shown: str, tasks: TaskGroup, habit: Habit,
        session: str | None, version: str | None, decline: Decline,
    ) -> None:  # fmt: skip
        self._upstream = upstream
        self._shown = shown
        self._tasks = tasks
        self._habit = habit
        self._session, self._version = session, version
        self._decline = decline
        self._calls: dict[object, Attend] = {}
        self._listening: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        """Whether the stream is open, or need not be waited for."""
        self._offered = True
        self._rest: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def heard_by(self, attend: Attend) -> AsyncIterator[None]:
        """While a call is under way, it is put what the server asks."""
        key = object()
        self._calls[key] = attend
        try:
            await self._opened()
            yield
        finally:
            del self._calls[key]
            if not self._calls and self._listening is not None:
                loop = asyncio.get_running_loop()
                self._rest = loop.call_later(LINGER, self.close)

    def close(self) -> None:
        """Listen no more."""
        self._keep()
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None

    def _keep(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    async def _opened(self) -> None:
        self._keep()
        if not self._offered:
            return
        if self._listening is None or self._listening.done():
            self._settled.clear()
            self._listening = self._tasks.start("aside", self._listen())
        try:
            async with asyncio.timeout(OPENING):
                await self._settled.wait()
        except TimeoutError:
            self._settled.set()  # one call has waited for all

    async def _listen(self) -> None:
        place = Place()
        try:
            while self._offered:
                with suppress(MeshError):
                    await self._hear(place)
                if not self._calls:
                    return
                await asyncio.sleep(AGAIN)
        finally:
            self._settled.set()

    async def _hear(self, place: Place) -> None:
        try:
            response = await self._upstream.get(
                session=self._session, version=self._version, last_event=place.last
            )
        finally:
            self._settled.set()
        try:
            if response.status != 200 or response.content_type != EVENT_STREAM:
                self._offered = response.status >= 500  # that may be another time
                return
            try:
                async with aclosing(messages(response, self._shown, place.note)) as found:
                    async for message, raw in found:
                        await self._take(message, raw)
            finally:
                self._settled.clear()  # who calls in the pause waits until it is open again
        finally:
            response.release()

    async def _take(self, message: Message, raw: bytes) -> None:
        calls = tuple(self._calls.values())
        if not message.is_request:
            if message.method == "notifications/message" and len(calls) == 1:
                await calls[0](message, raw)
            return
        if message.method != "ping":
            self._habit.asks = True
        if len(calls) != 1 or not await calls[0](message, raw):
            await self._decline(message)

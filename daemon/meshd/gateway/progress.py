"""One answer that may become an event stream: when something comes before it, or it takes long."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from aiohttp import web

from meshd.gateway import answers
from meshd.gateway.hearing import KEEP_ALIVE
from meshd.protocol import sse

MAX_WAITING = 1000
"""Messages kept for a client that is behind; the oldest are lost to it."""


class Voice(Protocol):
    """The way to one client that waits for an answer."""

    @property
    def streams(self) -> bool:
        """Whether the client hears what comes before the answer."""

    def hear(self, notification: bytes) -> None:
        """A message that comes before the answer: a notification, or a question."""

    async def stop(self) -> None:
        """Send nothing more before the answer."""

    async def end(self, body: bytes) -> web.StreamResponse:
        """Send the answer; nothing for an empty body."""


class Progress:
    """Turns the answer into an event stream when the first notification comes before it."""

    def __init__(
        self,
        request: web.BaseRequest,
        whole: Callable[[bytes], web.StreamResponse] = answers.message,
    ) -> None:
        """`whole` makes the answer of a body that nothing came before."""
        self._request = request
        self._whole = whole
        self._streams = "text/event-stream" in request.headers.get("Accept", "")
        self._waiting: deque[bytes] = deque(maxlen=MAX_WAITING)
        self._wake = asyncio.Event()
        self._answer: web.StreamResponse | None = None
        self._writer: asyncio.Task[None] | None = None
        self._pulse: asyncio.TimerHandle | None = None
        if self._streams:
            self._beat_later()

    @property
    def streams(self) -> bool:
        """Whether the client takes an event stream."""
        return self._streams

    def hear(self, notification: bytes) -> None:
        """A message that comes before the answer: a notification, or a question."""
        if self._streams:
            self._put(sse.message(notification))

    def _beat_later(self) -> None:
        self._pulse = asyncio.get_running_loop().call_later(KEEP_ALIVE, self._beat)

    def _beat(self) -> None:
        """A comment keeps proxies from closing a stream, and clients from giving it up."""
        self._put(sse.COMMENT)
        self._beat_later()

    def _put(self, event: bytes) -> None:
        self._waiting.append(event)
        self._wake.set()
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="gateway.progress")

    async def _write(self) -> None:
        self._answer = web.StreamResponse(headers=answers.SSE_HEADERS)
        await self._answer.prepare(self._request)
        while True:
            await self._drain(self._answer)
            await self._wake.wait()
            self._wake.clear()

    async def _drain(self, answer: web.StreamResponse) -> None:
        while self._waiting:
            await answer.write(self._waiting.popleft())

    async def stop(self) -> None:
        """End the writer, so that one hand writes the rest."""
        if self._pulse is not None:
            self._pulse.cancel()
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

    async def end(self, body: bytes) -> web.StreamResponse:
        """Write the answer itself; nothing for an empty body."""
        await self.stop()
        if self._answer is None and not self._waiting:
            answer = self._whole(body) if body else answers.accepted()
            await answer.prepare(self._request)
            await answer.write_eof()
            return answer
        if self._answer is None or not self._answer.prepared:
            self._answer = web.StreamResponse(headers=answers.SSE_HEADERS)
            await self._answer.prepare(self._request)
        await self._drain(self._answer)
        if body:
            await self._answer.write(sse.message(body))
        await self._answer.write_eof()
        return self._answer

"""An upstream's event stream on its way to a client: begun late, and kept open while it is silent.

As long as nothing was written, the request may still be answered in another way.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

from aiohttp import web

from meshd.gateway.hearing import KEEP_ALIVE, beside
from meshd.protocol import sse

_RESTS = (b"\n\n", b"\r\n\r\n", b"\r\r")


class LateStream:
    """The stream to the client."""

    def __init__(self, request: web.BaseRequest, headers: Mapping[str, str]) -> None:
        self._request = request
        self._headers = headers
        self.answer: web.StreamResponse | None = None
        """None until something was written."""

    async def write(self, data: bytes) -> None:
        """Write, after the head if need be; nothing at all for no bytes."""
        if not data:
            return
        await (await self._begun()).write(data)

    async def end(self) -> web.StreamResponse:
        """Nothing more comes."""
        answer = await self._begun()
        await answer.write_eof()
        return answer

    async def _begun(self) -> web.StreamResponse:
        if self.answer is None:
            self.answer = web.StreamResponse(headers=self._headers)
            await self.answer.prepare(self._request)
        return self.answer


async def between(
    chunks: AsyncGenerator[bytes, None], news: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """Each chunk of a stream, and between two events of it the last of what `news` gave."""
    waiting: list[bytes] = []
    tail = b"\n\n"

    async def told() -> AsyncGenerator[bytes, None]:
        async with aclosing(news):
            async for notification in news:
                waiting[:] = [notification]
                yield b""

    async with aclosing(beside(chunks, told())) as both:
        async for chunk in both:
            if chunk:
                yield chunk
                tail = (tail + chunk)[-4:]
            if waiting and tail.endswith(_RESTS):
                yield sse.message(waiting.pop())


class Paced:
    """Each chunk; and a comment wherever `pause` seconds pass between two events.

    `chunks` bears that waiting for its next one is given up, and begun again.
    """

    def __init__(self, chunks: AsyncIterator[bytes], pause: float = KEEP_ALIVE) -> None:
        self._chunks = chunks
        self._pause = pause
        self._rests = True

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while True:
            try:
                async with asyncio.timeout(self._pause):
                    chunk = await anext(self._chunks)
            except TimeoutError:
                if self._rests:
                    return sse.COMMENT
            else:
                self._rests = chunk.endswith(_RESTS)
                return chunk

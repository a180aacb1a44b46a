"""The chunks of an answer that an upstream may part over several streams, as one stream."""

from collections.abc import Callable
from typing import Self

from meshd.gateway.relay import Events
from meshd.proxy.http import HttpUpstream, Response


class Continued:
    """Each chunk until the answer came, and behind it those of the same stream.

    Waiting for the next one may be given up, and begun again.
    """

    def __init__(
        self, first: Response, events: Events, shown: str,
        upstream: Callable[[], HttpUpstream], session: str | None, version: str | None,
    ) -> None:  # fmt: skip
        """`events` is fed with the chunks; `first` is its caller's to release."""
        self._first = self._response = first
        self._chunks = first.chunks()
        self._events = events
        self._shown = shown
        self._upstream = upstream
        self._session, self._version = session, version
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._ended:
                await self._go_on()
            try:
                return await anext(self._chunks)
            except StopAsyncIteration:
                if not self._events.owed:
                    raise
                self._ended = True
                self._events.part()

    async def _go_on(self) -> None:
        place = self._events.place
        found = await place.rest(self._upstream(), self._shown, self._session, self._version)
        self.release()
        self._response, self._chunks, self._ended = found, found.chunks(), False

    def release(self) -> None:
        """Let go of the stream that is read."""
        if self._response is not self._first:
            self._response.release()

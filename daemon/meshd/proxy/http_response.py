"""An upstream's answer as its reader sees it: status, headers, and a body that may still come.

How the bytes of a connection become one is in `http_wire`.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import NoReturn, Protocol

from meshd.wire.errors import MeshError, UpstreamFailed


class Source(Protocol):
    """What a response holds of the connection that it comes from."""

    def resume(self) -> None:
        """Read on: what was buffered has been taken."""

    def renew(self) -> None:
        """Count the silence from now on."""

    def abort(self) -> None:
        """Close at once."""


class Headers:
    """The fields of one answer; those of one name are joined by commas (RFC 9110 section 5.3)."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[bytes, bytes]) -> None:
        self._fields = fields

    def get(self, name: str) -> str | None:
        """The value of a header, whatever the case of its name."""
        value = self._fields.get(name.lower().encode())
        return None if value is None else value.decode("latin-1").strip(" \t")


class Response:
    """One answer. Whoever got it releases it; once it has come whole, that does nothing.

    Reading raises `UpstreamFailed` when it breaks off and `UpstreamTimeout` when it stalls; what
    came before is given first.
    """

    __slots__ = (
        "_coded", "_failure", "_parts", "_shown", "_source", "_waiter", "buffered", "complete",
        "headers", "status",
    )  # fmt: skip

    def __init__(self, source: Source, shown: str) -> None:
        self.status = 0
        self.headers: Headers
        self.buffered = 0
        self.complete = False
        self._source: Source | None = source
        self._shown = shown
        self._coded = False
        self._parts: list[bytes] = []
        self._failure: MeshError | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"Response({self.status} of {self._shown})"

    @property
    def content_type(self) -> str:
        """The media type in lower case without parameters; empty if none was stated."""
        return (self.headers.get("content-type") or "").partition(";")[0].rstrip().lower()

    @property
    def content_length(self) -> int | None:
        """The stated length of the body."""
        value = self.headers.get("content-length")
        return None if value is None else int(value)

    async def read(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            UpstreamFailed: it is over `limit` bytes, is encoded, or broke off.
            UpstreamTimeout: it stalled.
        """
        if self._coded:
            self._refuse_coding()
        parts: list[bytes] = []
        size = 0
        expected = 0 if self.complete else self.content_length or 0
        while True:
            size += self.buffered
            if max(size, expected) > limit:
                self.release()
                raise UpstreamFailed(f"{self._shown} answered with more than {limit >> 20} MiB")
            if self.complete:
                return b"".join((*parts, self._take())) if parts else self._take()
            if self.buffered:
                parts.append(self._take())
            await self.more()

    def chunks(self) -> AsyncIterator[bytes]:
        """The body piece by piece, as it comes.

        Raises:
            UpstreamFailed: it is encoded.
        """
        if self._coded:
            self._refuse_coding()
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self.buffered:
            if self.complete:
                raise StopAsyncIteration
            await self.more()
        return self._take()

    def renew(self) -> None:
        """Something is owed from now on: silence before does not count."""
        if self._source is not None:
            self._source.renew()

    def release(self) -> None:
        """Let go. A connection whose answer has not come whole cannot serve again: it closes."""
        source, self._source = self._source, None
        if source is not None:
            source.abort()

    # What follows is the connection's side.

    async def more(self) -> None:
        """Wait until something came.

        Raises:
            UpstreamFailed, UpstreamTimeout: nothing will come any more.
        """
        if self._failure is None:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._failure is not None and not self.buffered:
            raise self._failure

    def begin(self, status: int, fields: dict[bytes, bytes]) -> None:
        """The head has come. Names of fields are in lower case."""
        self.status = status
        self.headers = Headers(fields)
        coding = fields.get(b"content-encoding")
        self._coded = coding is not None and coding.strip().lower() != b"identity"

    def add(self, chunk: bytes) -> None:
        """A piece of the body."""
        self._parts.append(chunk)
        self.buffered += len(chunk)

    def finish(self) -> None:
        """It has come whole, and holds its connection no more."""
        self.complete = True
        self._source = None
        self.wake()

    def fail(self, failure: MeshError) -> None:
        """Nothing more will come."""
        self._failure = failure
        self._source = None
        self.wake()

    def wake(self) -> None:
        """Tell the reader that something came."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _take(self) -> bytes:
        taken = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self.buffered = 0
        if self._source is not None:
            self._source.resume()
        return taken

    def _refuse_coding(self) -> NoReturn:
        # We never offer to decode: a coded body would reach clients as noise.
        self.release()
        raise UpstreamFailed(f"{self._shown} answered in a content encoding that was not asked for")

"""The event stream of an HTTP+SSE server, and the place where messages to it go.

The server names that place in its first event. It has to be of the same origin: what is sent there
bears the connection's credentials. Source: MCP 2024-11-05, Transports, HTTP with SSE.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Self

from meshd.protocol import sse
from meshd.protocol.jsonrpc import Message
from meshd.proxy.http import HttpUpstream, Response
from meshd.proxy.http_messages import EVENT_STREAM, events, read, refused
from meshd.wire.errors import UpstreamFailed, UpstreamTimeout

ENDPOINT_WAIT = 5.0
"""Seconds for the event that names where messages go."""
FORGOTTEN = frozenset({400, 404, 410})
"""What servers answer to a message of a session that they do not know."""


class Lost(Exception):
    """The server does not know the session of this stream any more; the message was not taken."""


class SseStream:
    """One open stream. Made by `open`; whoever has it closes it."""

    def __init__(self, response: Response, shown: str) -> None:
        """Use `open`."""
        self._response = response
        self._shown = shown
        self._events = events(response, shown)
        self._place: HttpUpstream

    @classmethod
    async def open(cls, upstream: HttpUpstream, shown: str) -> Self:
        """Open the stream, and hear where messages go.

        Raises:
            UpstreamFailed: there is no such stream, or it names a place of another origin.
            NeedsLogin: the server refused our credentials.
            UpstreamTimeout: it cannot be reached, or names no place in time.
        """
        try:
            async with asyncio.timeout(ENDPOINT_WAIT):
                stream = cls(await upstream.get(session=None, version=None, last_event=None), shown)
                try:
                    stream._place = upstream.beside(await stream._endpoint())
                except BaseException:
                    stream.close()
                    raise
        except TimeoutError:
            raise UpstreamTimeout(f"{shown} did not say where messages go") from None
        return stream

    async def messages(self) -> AsyncGenerator[tuple[Message, bytes], None]:
        """Each message, read and raw, until the stream ends.

        Raises:
            UpstreamFailed, UpstreamTimeout: it breaks off, or what comes is no JSON-RPC.
        """
        async with aclosing(self._events) as found:
            async for event in found:
                data = sse.data_of(event)
                if data and sse.name_of(event) == "message":
                    yield read(data, self._shown)

    async def post(self, message: bytes) -> None:
        """Send a message. What the server has to say to it comes on the stream.

        Raises:
            Lost: the session is over.
            UpstreamFailed, NeedsLogin, UpstreamTimeout: the message was not taken.
        """
        response = await self._place.post(message, session=None, version=None)
        response.release()
        if response.status in FORGOTTEN:
            raise Lost
        _check(response, self._shown)

    def expect(self) -> None:
        """An answer is owed from now on: silence before does not count."""
        self._response.renew()

    def close(self) -> None:
        """End it, and so the session."""
        self._response.release()

    async def _endpoint(self) -> str:
        _check(self._response, self._shown)
        if self._response.content_type == EVENT_STREAM:
            async for event in self._events:
                if sse.name_of(event) == "endpoint":
                    return sse.data_of(event).decode(errors="replace")
        raise UpstreamFailed(f"{self._shown} is no HTTP+SSE server")


def _check(response: Response, shown: str) -> None:
    if not 200 <= response.status < 300:
        raise refused(response, shown)

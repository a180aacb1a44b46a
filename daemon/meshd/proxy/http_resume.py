"""Answers that a server parts over several streams: it ends one early, and is asked for the rest.

Source: MCP 2025-11-25, Transports, "Sending Messages to the Server" and "Resumability and
Redelivery".
"""

import asyncio

from meshd.protocol import sse
from meshd.proxy.http import HttpUpstream, Response
from meshd.proxy.http_messages import EVENT_STREAM
from meshd.wire.errors import UpstreamFailed

WAIT = 1.0
"""Seconds before the rest is asked for, where the server does not say."""
SHORTEST = 0.1
LONGEST = 60.0
"""Seconds that a server may say. One that wants to be left alone for longer has given up."""


class Place:
    """How far a stream was read, by the ids of its events."""

    def __init__(self) -> None:
        self.last: str | None = None
        """The id of the last event that had one."""
        self._wait = WAIT
        self._due: float | None = None
        """When the rest may be asked for; None while the stream lasts."""

    def note(self, event: bytes) -> None:
        """Look at an event that came."""
        if b"id:" in event and (ident := sse.field_of(event, b"id")):
            self.last = ident.decode(errors="replace")
        if b"retry:" in event and (pause := sse.field_of(event, b"retry") or b"").isdigit():
            self._wait = max(int(pause[:9]) / 1000, SHORTEST)

    async def rest(
        self, upstream: HttpUpstream, shown: str, session: str | None, version: str | None
    ) -> Response:
        """The stream that goes on from here, after the pause that the server wants.

        Waiting for it may be given up, and begun again.

        Raises:
            UpstreamFailed: there is none. And as `HttpUpstream.get`.
        """
        ended = f"{shown} closed the stream without an answer"
        if self.last is None or self._wait > LONGEST:
            raise UpstreamFailed.gone(ended)
        now = asyncio.get_running_loop().time()
        self._due = now + self._wait if self._due is None else self._due
        await asyncio.sleep(self._due - now)
        response = await upstream.get(session=session, version=version, last_event=self.last)
        if response.status != 200 or response.content_type != EVENT_STREAM:
            response.release()
            raise UpstreamFailed.gone(ended)
        self._due = None
        return response

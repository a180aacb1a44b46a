"""One HTTP/1.1 connection to an upstream: a request at a time, written at once, parsed strictly.

Every request is written to one connection, once: what was written may have been acted upon, and a
tool must not run twice. A connection that closed while it was idle is found out before.

Source: RFC 9112. What `httptools` refuses by itself: a response with both Content-Length and
Transfer-Encoding, several Content-Lengths, folded headers, bare line feeds, control characters.
"""

import asyncio
import select
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from meshd.proxy.http_response import Response
from meshd.wire.errors import UpstreamFailed, UpstreamTimeout

MAX_HEAD = 64 * 1024
MAX_FIELDS = 100
MAX_BUFFERED = 256 * 1024
"""Bytes of a body that wait for a slow reader before the upstream is made to wait."""

RESTED = 0.1
"""Seconds of rest after which a connection is looked at before it is used. On busier ones the end
of the connection cannot have gone unnoticed for longer than one turn of the event loop."""

_INTERIM = frozenset({100, 103})
_BODILESS = frozenset({204, 304})
_VERSIONS = frozenset({"1.0", "1.1"})


class Home(Protocol):
    """Who keeps a connection while it rests."""

    def put(self, wire: "Wire") -> None:
        """It can serve again."""

    def lost(self, wire: "Wire") -> None:
        """It is closed."""


class _Refused(ValueError):
    """The upstream's bytes are not an answer that can be relied on."""


class Wire(asyncio.Protocol):
    """A connection. `heard` is when it last gave a sign of life, in the loop's time."""

    def __init__(self, home: Home, loop: asyncio.AbstractEventLoop) -> None:
        self.heard = loop.time()
        self.closed = False
        self._home = home
        self._now = loop.time
        self._transport: asyncio.Transport
        self._parser = HttpResponseParser(self)
        self._poll = select.poll()
        self._response: Response | None = None
        self._shown = ""
        self._reusable = self._until_close = self._paused = self._interim = False
        self._fields: dict[bytes, bytes] = {}
        self._field_count = self._barren = self._fed = 0

    async def ask(self, request: bytes, shown: str) -> Response:
        """Write a request and wait for the head of its answer. `shown` names the upstream.

        Raises:
            UpstreamFailed: the connection broke, or what came is no HTTP.
            UpstreamTimeout: nothing came in time.
        """
        self._shown = shown
        self._fields = {}
        self._field_count = self._barren = 0
        self._until_close = False
        self.heard = self._now()
        response = self._response = Response(self, shown)
        self._transport.write(request)
        try:
            while not response.status:
                await response.more()
        except BaseException:
            if self._response is response:  # else it came whole, and another may be asking here
                self.abort()
            raise
        return response

    def is_usable(self) -> bool:
        """Whether a resting connection still stands and has nothing to say."""
        if self._transport.is_closing():
            return False
        return self._now() - self.heard < RESTED or not self._poll.poll(0)

    def check(self, keep: float, patience: float) -> None:
        """Close what rested for `keep` seconds; give up on what was silent for `patience`."""
        silent = self._now() - self.heard
        response = self._response
        if response is None:
            if silent > keep:
                self.abort()
        elif silent > patience and not self._paused:
            what = "stopped in the middle of an answer" if response.status else "did not answer"
            self._response = None
            response.fail(UpstreamTimeout(f"{self._shown} {what} for {patience:g} s"))
            self.abort()

    def resume(self) -> None:
        """Read on: what was buffered has been taken."""
        if self._paused:
            self._paused = False
            self.heard = self._now()
            self._transport.resume_reading()

    def renew(self) -> None:
        """Count the silence from now on."""
        self.heard = self._now()

    def abort(self) -> None:
        """Close at once; what is under way fails."""
        if self._response is not None:
            self._fail("was not listened to any more")
        self._transport.abort()

    # What follows is called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready to ask."""
        self._transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and tell the reader."""
        response = self._response
        if response is None:
            self._transport.abort()  # nobody asked
            return
        self.heard = self._now()
        before = response.buffered
        self._fed = self._barren + len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._reusable = False
            if not response.complete:
                cause = error.__context__
                self._refuse(cause if isinstance(cause, _Refused) else error)
                return
        if response.complete:
            self._settle(response)
            return
        if response.buffered != before:
            self._barren = 0
            if response.buffered > MAX_BUFFERED:
                self._paused = True
                self._transport.pause_reading()
        else:
            self._barren = self._fed
            if self._fed > MAX_HEAD:
                self._refuse(_Refused("its head does not end"))
                return
        if response.status:
            response.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of it, and of a body that lasts until then."""
        self.closed = True
        self._home.lost(self)
        response = self._response
        if response is None:
            return
        if self._until_close and exc is None:
            self._response = None
            response.finish()
        else:
            why = "" if exc is None else f": {getattr(exc, 'strerror', None) or exc}"
            self._fail(
                f"closed the connection in the middle of an answer{why}"
                if response.status
                else f"cannot be reached: it closed the connection before it answered{why}",
                lost=True,
            )

    def _settle(self, response: Response) -> None:
        self._response = None
        response.finish()
        # An answer to half a request leaves the other half in the way of the next one.
        if self._reusable and not self._transport.get_write_buffer_size():
            if self._paused:
                self.resume()
            self._home.put(self)
        else:
            self._transport.abort()

    def _refuse(self, why: Exception) -> None:
        self._fail(f"sent what is no HTTP answer: {why}")
        self._transport.abort()

    def _fail(self, what: str, *, lost: bool = False) -> None:
        response, self._response = self._response, None
        if response is not None:
            kind = UpstreamFailed.gone if lost else UpstreamFailed
            response.fail(kind(f"{self._shown} {what}"))

    # What follows is called by the parser.

    def on_message_begin(self) -> None:
        """A second answer to one question is nobody's."""
        if self._response is None or self._response.complete:
            raise _Refused("more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header; trailers count too, but are not kept."""
        self._field_count += 1
        if self._field_count > MAX_FIELDS:
            raise _Refused("its head has too many fields")
        name, fields = name.lower(), self._fields
        fields[name] = fields[name] + b", " + value if name in fields else value

    def on_headers_complete(self) -> None:
        """Decide how long the body is, and whether the connection can serve again."""
        status, fields = self._parser.get_status_code(), self._fields
        response = self._response
        assert response is not None  # noqa: S101 - on_message_begin looked
        keep = self._parser.should_keep_alive()
        # Only 1.1 keeps connections without a word; asking for the version costs a microsecond.
        if (not keep or b"connection" in fields) and (
            self._parser.get_http_version() not in _VERSIONS
        ):
            raise _Refused("its version is not known")
        if self._fed > MAX_HEAD and sum(map(len, (*fields, *fields.values()))) > MAX_HEAD:
            raise _Refused("its head is too large")
        self._fields = {}  # of the next head, or of the trailers
        if status < 200:
            if status not in _INTERIM:
                raise _Refused(f"HTTP {status} was not asked for")
            self._interim = True
            return
        coding = fields.get(b"transfer-encoding")
        if status > 599 or (coding is not None and not self._is_chunked(coding)):
            raise _Refused("its status or transfer encoding is not known")
        self._reusable = keep
        self._until_close = not keep and not (
            coding is not None or b"content-length" in fields or status in _BODILESS
        )
        response.begin(status, fields)

    def _is_chunked(self, coding: bytes) -> bool:
        """RFC 9112 section 6.1: nothing but `chunked`, and not before HTTP/1.1."""
        return coding.strip().lower() == b"chunked" and self._parser.get_http_version() != "1.0"

    def on_body(self, chunk: bytes) -> None:
        """Keep a piece for the reader."""
        if self._response is not None:
            self._response.add(chunk)

    def on_message_complete(self) -> None:
        """The answer has come whole, if it was one."""
        if self._interim:
            self._interim = False
        elif self._response is not None:
            self._response.complete = True

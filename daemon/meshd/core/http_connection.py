"""One HTTP connection of a client: aiohttp's, with the deadlines and limits that it lacks.

aiohttp bounds neither the time of a head nor that of a body nor that of a slow reader. No timer
runs here per request: each event leaves its moment, and a sweep over all connections compares.
"""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler

from meshd.core.answers import JSON, Request, error_answer
from meshd.core.http_limits import Limits
from meshd.wire.errors import BadRequest, HeadTooLarge, MeshError, TooSlow

log = logging.getLogger(__name__)

LINGER = 2.0
"""Seconds in which what was refused is still read, so that its sender sees the answer."""
_TOO_MANY = "Too many headers received"


class House(Protocol):
    """Who lets connections in."""

    limits: Limits
    now: Callable[[], float]

    def enter(self, connection: "Connection") -> None:
        """Let it in, or know it again. Raises: Denied, Unavailable: it must not, it is full."""

    def leave(self, connection: "Connection") -> None:
        """The connection is gone."""


class Connection(RequestHandler):
    """Knows since when it waits, and for what. `refusal` is what its next request is answered."""

    __slots__ = (
        "_arrived", "_body", "_head", "_house", "_patience", "_since", "_stalled", "_wire",
        "address", "handshake", "on_lost", "refusal", "spoiled",
    )  # fmt: skip

    def __init__(self, house: House, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        limits = house.limits
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # aiohttp takes none
            logger=log,
            lingering_time=LINGER,
            auto_decompress=False,
            max_line_size=limits.head_bytes,
            max_field_size=limits.head_bytes,
            max_headers=limits.head_lines,
        )
        self._house = house
        self._wire: asyncio.Transport | None = None
        self._since = house.now()
        self._head = 0
        self._body: StreamReader = EMPTY_PAYLOAD
        self._arrived = 0
        self._stalled: float | None = None
        self._patience = limits.stall
        self.address = ""
        self.handshake: asyncio.Task[None] | None = None
        """What of TLS is under way, before anything else."""
        self.refusal: MeshError | None = None
        self.spoiled = False
        self.on_lost: Callable[[], None] | None = None
        """Called once when the connection is lost, for the request that is served then."""

    # What aiohttp's server tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to be let in; a handshake gives its place to what follows it."""
        super().connection_made(transport)
        self.handshake = None
        self._wire = self.transport
        peer = self.peername
        self.address = peer[0] if isinstance(peer, tuple) else ""
        try:
            self._house.enter(self)
        except MeshError as error:
            self.turn_away(error)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give the place free."""
        self._house.leave(self)
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost()

    def data_received(self, data: bytes) -> None:
        """Parse, and note what it was: heads, a piece of a body, or a piece of a head."""
        heads, body, open_before = self._request_count, self._body, not self._body.is_eof()
        super().data_received(data)
        if self._request_count != heads:
            self._heads_came(len(data), body)
        elif open_before:
            self._arrived += len(data)
        elif data:
            self._head_grew(len(data))

    def pause_writing(self) -> None:
        """The reader is behind."""
        super().pause_writing()
        self._stalled = self._house.now()

    def resume_writing(self) -> None:
        """The reader has caught up."""
        super().resume_writing()
        self._stalled = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's; it quotes what was sent
    ) -> web.StreamResponse:
        """The answer to what is not HTTP, and to a handler that failed; the connection ends."""
        if request.writer.output_size > 0:
            raise ConnectionAbortedError("an answer was begun already")
        error: MeshError
        if status == 400:
            too_large = isinstance(exc, LineTooLong) or _TOO_MANY in str(exc)
            error = HeadTooLarge() if too_large else BadRequest("the request is not valid HTTP")
        else:
            log.error("a handler failed", exc_info=exc)
            error = MeshError("the daemon failed; its log has the details")
        answer = error_answer(error)
        answer.force_close()
        return answer

    # What happens to it.

    def begins(self) -> None:
        """A handler takes the request; from now on its body is waited for."""
        self._since = self._house.now()

    def rests(self) -> None:
        """The handler is done."""
        self._since = self._house.now()

    def part(self) -> None:
        """Let the answer to what is under way be the last one."""
        if isinstance(self._current_request, Request):
            self._current_request.parting = True

    def cut(self) -> None:
        """Cancel what is under way."""
        if self._task_handler is not None:
            self._task_handler.cancel()

    def turn_away(self, error: MeshError) -> None:
        """Answer without a request, unless another answer is under way, and close.

        A handshake just ends. TLS is closed by both sides; this other one may not take its time.
        """
        if self.handshake is not None:
            self.handshake.cancel()
            return
        self._patience = min(LINGER, self._patience)
        if self._wire is not None and not self._wire.is_closing() and not self._answering:
            self._wire.write(raw_answer(error))
        self.force_close()

    def look(self, now: float) -> None:
        """Act on what has waited for too long."""
        wire, limits = self._wire, self._house.limits
        if wire is None:
            return
        if self._stalled is None and wire.is_closing():
            self._stalled = now  # the rest has to be taken in time, too
        if self._stalled is not None:
            if now - self._stalled > self._patience:
                wire.abort()
        elif (current := self._current_request) is not None:
            if current.content is self._body and not self.spoiled and self._is_slow(now):
                self._spoil(self._body, TooSlow())
        elif not self._answering:
            waited = now - self._since
            if self._head:
                if waited > limits.head:
                    self.turn_away(TooSlow())
            elif waited > (limits.idle if self._request_count else limits.head):
                self.force_close()

    @property
    def _answering(self) -> bool:
        return (self._waiter is None and self._request_count > 0) or bool(self._messages)

    def _is_slow(self, now: float) -> bool:
        if self._body.is_eof():
            return False
        limits, waited = self._house.limits, now - self._since
        due = waited * limits.rate if waited > limits.grace else 0
        return waited > limits.body or self._arrived < due

    def _heads_came(self, size: int, before: StreamReader) -> None:
        message, self._body = self._messages[-1]
        bad = not isinstance(message, RawRequestMessage)
        if bad and not before.is_eof() and self._current_request is not None:
            self._spoil(before, BadRequest("the body is not valid HTTP"))
        if self._head + size > self._house.limits.head_bytes and any(
            _head_size(m) > self._house.limits.head_bytes
            for m, _ in self._messages
            if isinstance(m, RawRequestMessage)
        ):
            self.refusal = HeadTooLarge()
        self._head = self._arrived = 0
        self._since = self._house.now()

    def _head_grew(self, size: int) -> None:
        if self._head == 0:
            self._since = self._house.now()
        self._head += size
        if self._head > self._house.limits.head_bytes:
            self.turn_away(HeadTooLarge())

    def _spoil(self, body: StreamReader, error: MeshError) -> None:
        """Make whoever reads the body fail with `error`; nothing is read from here any more."""
        self.spoiled = True
        self._lingering_time = 0.0
        body.set_exception(error)


def raw_answer(error: MeshError) -> bytes:
    """A whole HTTP answer, for where there is no request to answer."""
    body = msgspec.json.encode(error.body())
    again = "Retry-After: 1\r\n" if error.status == 503 else ""
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\nContent-Type: {JSON}\r\n"
        f"Content-Length: {len(body)}\r\n{again}Connection: close\r\n\r\n"
    )
    return head.encode() + body


def _head_size(message: RawRequestMessage) -> int:
    line = len(message.method) + len(message.path) + len("  HTTP/1.1\r\n\r\n")
    return line + sum(len(name) + len(value) + 4 for name, value in message.raw_headers)

"""JSON-RPC with one stdio server: requests of many callers out, answers back to each, no process.

Request ids are ours, so callers cannot collide; see `protocol.progress` for their tokens. What the
server asks back is declined, because no caller can be told apart to ask; `ping` is answered.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from meshd.protocol import jsonrpc
from meshd.protocol.jsonrpc import Message, Reply
from meshd.protocol.progress import own_token, restore_token, swap_token, token_of
from meshd.protocol.stdio_lines import (
    LineSplitter,
    LineTooLongError,
    NotAMessageError,
    as_line,
    read_message,
    unbatch,
    whole_utf8,
)
from meshd.protocol.subscriptions import subscription_of
from meshd.protocol.surrogates import mend_surrogates
from meshd.proxy.stdio_call import Call, Deadlines
from meshd.wire.errors import MeshError, UpstreamFailed, UpstreamTimeout

log = logging.getLogger(__name__)

_FIRST = frozenset({"initialize", "server/discover"})
"""What a conversation begins with, which must not be cancelled."""

Listener = Callable[[str, bytes], None]
"""Takes the method and the whole notification, as JSON on one line."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server may cost."""

    line_bytes: int = 8 * 1024 * 1024
    """Its longest message."""
    unread_bytes: int = 8 * 1024 * 1024
    """What is kept for it while it does not read."""
    skipped_lines: int = 1000
    """Lines on stdout that are not JSON-RPC, such as banners."""
    calls: int = 4096
    """Requests in flight."""


class Pipe(Protocol):
    """The way to the server."""

    @property
    def unread(self) -> int:
        """Bytes written that the server has not taken yet."""

    def write(self, data: bytes) -> None:
        """Send without waiting."""


class StdioTalk:
    """The conversation over one pipe, until `end`.

    `on_broken` is called with a sentence when the server leaves the protocol for good.
    """

    def __init__(
        self, pipe: Pipe, name: str, limits: Limits, on_broken: Callable[[str], None]
    ) -> None:
        self.reason: MeshError | None = None
        """Why the conversation ended; None while it lasts."""
        self.asked = 0
        """Requests so far, also the number of the last one."""
        self.answered = 0
        """Those that were answered, with a result or an error."""
        self.skipped = 0
        """Lines that were no messages."""
        self.first_skipped = b""
        self._pipe = pipe
        self._name = name
        self._limits = limits
        self._on_broken = on_broken
        self._splitter = LineSplitter(limits.line_bytes)
        self._calls: dict[bytes, Call] = {}
        self._deadlines = Deadlines(self._calls)
        self._listeners: dict[object, Listener] = {}
        self._holders: set[object] = set()
        self._subscriptions: dict[bytes, Callable[[bytes], None]] = {}
        self._mourners: dict[object, Callable[[], None]] = {}

    @property
    def in_flight(self) -> int:
        """Requests that wait for an answer."""
        return len(self._calls)

    async def request(
        self,
        method: str,
        params: bytes,
        *,
        on_notification: Callable[[bytes], None] | None = None,
        deadline: float | None = None,
        ceiling: float | None = None,
    ) -> Reply:
        """Ask the server; `params` is a valid JSON object or empty, and is sent byte for byte.

        But for the progress token: it is ours, and every `tools/call` has one. `deadline` counts
        seconds since the last progress, `ceiling` seconds in all. Progress comes
        to `on_notification` as whole notifications, with the token that `params` had. A cancelled
        caller or a passed deadline cancels the request at the server.

        Raises:
            UpstreamFailed: the server has ended, ends meanwhile, or takes no more.
            UpstreamTimeout: it did not answer in time.
        """
        self._check_open()
        if len(self._calls) >= self._limits.calls:
            raise UpstreamFailed(f'"{self._name}" has {len(self._calls)} unanswered requests')
        self.asked += 1
        ident = self.asked
        number = b"%d" % ident
        with_token = own_token if method == "tools/call" else swap_token
        params, token = with_token(params, number)
        call = Call(
            f'{method} of "{self._name}"',
            token=token,
            on_notification=on_notification,
            idle=deadline,
            ceiling=ceiling,
        )
        self._calls[number] = call
        self._deadlines.watch(call)
        try:
            self._send(jsonrpc.request(ident, method, params))
            outcome = await call.outcome
        except asyncio.CancelledError:
            self._withdraw(number, method, "the caller has gone")
            raise
        finally:
            del self._calls[number]
        if isinstance(outcome, Reply):
            return outcome
        if isinstance(outcome, UpstreamTimeout):
            self._withdraw(number, method, "it took too long")
        raise outcome

    def notify(self, method: str, params: bytes = b"") -> None:
        """Tell the server something.

        Raises:
            UpstreamFailed: it has ended, or takes no more.
        """
        self._check_open()
        self._send(jsonrpc.notification(method, params))

    @property
    def held(self) -> bool:
        """Whether somebody listens who needs the server to run."""
        return bool(self._holders)

    def listen(self, callback: Listener, *, holds: bool = True) -> Callable[[], None]:
        """Have `callback` called with each notification of no request; returns how to end that.

        A listener that `holds` is a use of the server, as a request in flight is.
        """
        key = object()
        self._listeners[key] = callback
        if holds:
            self._holders.add(key)

        def stop() -> None:
            self._listeners.pop(key, None)
            self._holders.discard(key)

        return stop

    def subscribe(
        self, params: bytes, callback: Callable[[bytes], None], *, holds: bool = True
    ) -> Callable[[], None]:
        """Ask for a subscription of the stateless era; returns how to end it.

        `callback` gets its notifications, the acknowledgement first. One that `holds` is a use of
        the server, as a request in flight is.

        Raises:
            UpstreamFailed: the server has ended, or takes no more.
        """
        self._check_open()
        self.asked += 1
        number, method = b"%d" % self.asked, "subscriptions/listen"
        self._subscriptions[number] = callback
        if holds:
            self._holders.add(number)
        self._send(jsonrpc.request(self.asked, method, params))

        def stop() -> None:
            self._holders.discard(number)
            if self._subscriptions.pop(number, None) is not None:
                self._withdraw(number, method, "nobody listens any more")

        return stop

    def announce(self, method: str, message: bytes) -> None:
        """Tell all listeners of a notification."""
        for listener in tuple(self._listeners.values()):
            self._tell(listener, method, message)

    def end(self, reason: MeshError) -> None:
        """Fail what waits and whatever is asked from now on. The first `reason` counts."""
        if self.reason is not None:
            return
        self.reason = reason
        self._deadlines.close()
        for call in self._calls.values():
            call.settle(afresh(reason))
        for mourner in tuple(self._mourners.values()):
            self._tell(mourner)

    def at_end(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called when the conversation ends; returns how to take that back."""
        key = object()
        self._mourners[key] = callback

        def stop() -> None:
            self._mourners.pop(key, None)

        return stop

    def received(self, chunk: bytes) -> None:
        """Take what the server wrote."""
        if self.reason is not None:
            return
        try:
            lines = self._splitter.feed(chunk)
        except LineTooLongError:
            size = self._limits.line_bytes
            self._on_broken(f'"{self._name}" wrote a message of more than {size} bytes')
            return
        for line in lines:
            self._take_line(whole_utf8(line))

    # Inside:

    def _check_open(self) -> None:
        if self.reason is not None:
            raise afresh(self.reason)

    def _send(self, message: bytes) -> None:
        if self._pipe.unread + len(message) > self._limits.unread_bytes:
            raise UpstreamFailed(f'"{self._name}" does not read its input')
        self._pipe.write(as_line(message))

    def _send_if_it_reads(self, message: bytes) -> None:
        """Send what nobody waits for: a server that does not read loses it."""
        if self.reason is None:
            with contextlib.suppress(UpstreamFailed):
                self._send(message)

    def _withdraw(self, number: bytes, method: str, why: str) -> None:
        if method not in _FIRST:
            params = b'{"requestId":%b,"reason":%b}' % (number, msgspec.json.encode(why))
            self._send_if_it_reads(jsonrpc.notification("notifications/cancelled", params))

    def _take_line(self, line: bytes) -> None:
        try:
            for raw in unbatch(line):
                self._take(read_message(raw), raw)
        except NotAMessageError:
            mended = mend_surrogates(line)
            if mended != line:
                self._take_line(mended)
            else:
                self._skip(line)

    def _skip(self, line: bytes) -> None:
        if not line.strip():
            return
        self.first_skipped = self.first_skipped or line[:256]
        self.skipped += 1
        if self.skipped == self._limits.skipped_lines:
            self._on_broken(f'"{self._name}" wrote {self.skipped} lines that are not JSON-RPC')

    def _take(self, message: Message, raw: bytes) -> None:
        if not message.method:
            self._answered(message)
        elif bytes(message.id):
            self._asked(message)
        elif message.method == "notifications/progress":
            self._progressed(message, raw)
        elif message.method != "notifications/cancelled":  # what it asked was declined long ago
            subscriber = self._subscriptions.get(subscription_of(message.params))
            if subscriber is not None:
                self._tell(subscriber, raw)
            else:
                self.announce(message.method, raw)

    def _answered(self, message: Message) -> None:
        call = self._calls.get(bytes(message.id))
        if call is None:
            return  # cancelled or too late
        self.answered += 1
        error = bytes(message.error)
        if error not in {b"", b"null"}:
            call.settle(Reply(None, error))
        elif result := bytes(message.result):
            call.settle(Reply(result, None))
        else:
            call.settle(UpstreamFailed(f"{call.what} was answered with neither result nor error"))

    def _asked(self, message: Message) -> None:
        number = bytes(message.id)
        if message.method == "ping":
            self._send_if_it_reads(jsonrpc.success(number, b"{}"))
        else:
            refusal = f"this gateway has no client to ask for {message.method[:100]}"
            error = jsonrpc.error_object(jsonrpc.METHOD_NOT_FOUND, refusal)
            self._send_if_it_reads(jsonrpc.failure(number, error))

    def _progressed(self, message: Message, raw: bytes) -> None:
        token = token_of(message)
        call = self._calls.get(token) if token else None
        if call is None:
            return
        call.renew()
        if call.token is not None and call.on_notification is not None:
            self._tell(call.on_notification, restore_token(raw, call.token))

    def _tell(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            callback(*arguments)
        except Exception:  # a listener's fault must not end the conversation of the others
            log.exception('a listener to "%s" failed', self._name)


def afresh(error: MeshError) -> MeshError:
    """A copy to raise: one exception in several tasks would collect all their tracebacks."""
    copy = type(error)(error.message, next=error.next, facts=error.facts)
    if isinstance(error, UpstreamFailed) and isinstance(copy, UpstreamFailed):
        copy.lost, copy.sent = error.lost, error.sent
    return copy

"""The conversation over one stream of an HTTP+SSE server: every answer comes there, by its id.

Request ids and progress tokens are ours. What the server asks back does not say for which request,
so it is put to a call only while there is no other; else it is declined.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from meshd.protocol import jsonrpc
from meshd.protocol.jsonrpc import Message, Reply
from meshd.protocol.progress import own_token, restore_token, swap_token, token_of
from meshd.proxy.http_aside import Attend
from meshd.proxy.http_messages import reply_of
from meshd.proxy.http_session import PARTING
from meshd.proxy.sse_stream import Lost, SseStream
from meshd.proxy.stdio_call import Call, Deadlines
from meshd.proxy.stdio_talk import afresh
from meshd.wire.errors import MeshError, Unavailable, UpstreamFailed, UpstreamTimeout

IDLE_DEADLINE = 300.0
"""Seconds without a sign of life after which a call is given up."""
MAX_CALLS = 1000
"""Requests in flight."""
MAX_WAITING = 1000
"""Notifications kept for a listener that is behind; later ones are lost to it."""

Heard = tuple[Message, bytes]
"""A message, read and raw."""


class SseTalk:
    """Asks and hears for as long as the stream lasts: `run` it."""

    def __init__(self, stream: SseStream, shown: str) -> None:
        self.reason: MeshError | None = None
        """Why the conversation ended; None while it lasts."""
        self.said = b""
        """What the server answered to `initialize`."""
        self._stream = stream
        self._shown = shown
        self._count = 0
        self._calls: dict[bytes, Call] = {}
        self._attending: dict[bytes, Attend] = {}
        self._deadlines = Deadlines(self._calls)
        self._listeners: set[asyncio.Queue[Heard | None]] = set()

    async def run(self) -> None:
        """Hear the server until the stream ends."""
        reason: MeshError = UpstreamFailed.gone(f"{self._shown} closed its stream")
        try:
            async with aclosing(self._stream.messages()) as heard:
                async for message, raw in heard:
                    await self._take(message, raw)
        except MeshError as error:
            reason = error
        finally:
            self.end(reason)

    async def request(
        self, method: str, params: bytes, *, deadline: float, attend: Attend | None = None
    ) -> Reply:
        """Ask, and wait for the answer: at most `deadline` seconds, and less when it is silent.

        Raises:
            Lost: the server does not know the session; it did not take the request.
            UpstreamFailed, NeedsLogin, UpstreamTimeout, Unavailable: there is no answer.
        """
        self._check_open()
        if len(self._calls) >= MAX_CALLS:
            raise Unavailable(f"{self._shown} has {MAX_CALLS} requests under way")
        self._count += 1
        ident = self._count
        number = b"%d" % ident
        with_token = own_token if method == "tools/call" else swap_token
        params, token = with_token(params, number)
        call = Call(
            f"{method} of {self._shown}", token=token, on_notification=None,
            idle=IDLE_DEADLINE, ceiling=deadline,
        )  # fmt: skip
        self._calls[number] = call
        if attend is not None:
            self._attending[number] = attend
        self._deadlines.watch(call)
        self._stream.expect()
        try:
            await self._stream.post(jsonrpc.request(ident, method, params))
            outcome = await call.outcome
        except asyncio.CancelledError:
            await self._withdraw(number, method)
            raise
        finally:
            del self._calls[number]
            self._attending.pop(number, None)
        if isinstance(outcome, Reply):
            return outcome
        if isinstance(outcome, UpstreamTimeout):
            await self._withdraw(number, method)
        raise outcome

    async def tell(self, message: bytes) -> None:
        """Send a notification, or an answer. Raises as `request`."""
        self._check_open()
        await self._stream.post(message)

    async def heard(self) -> AsyncGenerator[Heard, None]:
        """The notifications that belong to no request, until the conversation ends."""
        waiting: asyncio.Queue[Heard | None] = asyncio.Queue(MAX_WAITING + 1)
        self._check_open()
        self._listeners.add(waiting)
        try:
            while (heard := await waiting.get()) is not None:
                yield heard
        finally:
            self._listeners.discard(waiting)

    def end(self, reason: MeshError) -> None:
        """Fail what waits and whatever is asked from now on. The first `reason` counts."""
        if self.reason is not None:
            return
        self.reason = reason
        self._deadlines.close()
        self._stream.close()
        for call in self._calls.values():
            call.settle(afresh(reason))
        for listener in self._listeners:
            listener.put_nowait(None)

    # Inside:

    def _check_open(self) -> None:
        if self.reason is not None:
            raise afresh(self.reason)

    async def _take(self, message: Message, raw: bytes) -> None:
        if not message.method:
            call = self._calls.get(bytes(message.id))
            if call is not None:  # else it was cancelled, or came too late
                call.settle(reply_of(message))
        elif message.is_request:
            await self._asked(message, raw)
        elif message.method == "notifications/progress":
            await self._progressed(message, raw)
        elif message.method == "notifications/message":
            for attend in tuple(self._attending.values()):
                await attend(message, raw)
        else:
            for listener in self._listeners:
                if listener.qsize() < MAX_WAITING:
                    listener.put_nowait((message, raw))

    async def _asked(self, message: Message, raw: bytes) -> None:
        if message.method == "ping":
            await self._say(jsonrpc.success(bytes(message.id), b"{}"))
            return
        attend = next(iter(self._attending.values()), None)
        if len(self._calls) != 1 or attend is None or not await attend(message, raw):
            refusal = jsonrpc.error_object(jsonrpc.METHOD_NOT_FOUND, "there is no client to ask")
            await self._say(jsonrpc.failure(bytes(message.id), refusal))

    async def _progressed(self, message: Message, raw: bytes) -> None:
        number = token_of(message) or b""
        call, attend = self._calls.get(number), self._attending.get(number)
        if call is None:
            return
        call.renew()
        if attend is not None and call.token is not None:
            await attend(message, restore_token(raw, call.token))

    async def _withdraw(self, number: bytes, method: str) -> None:
        if method != "initialize" and self.reason is None:
            about = b'{"requestId":%b}' % number
            await self._say(jsonrpc.notification("notifications/cancelled", about))

    async def _say(self, message: bytes) -> None:
        """Send what nobody waits for."""
        with suppress(MeshError, TimeoutError, Lost):
            async with asyncio.timeout(PARTING):
                await self._stream.post(message)

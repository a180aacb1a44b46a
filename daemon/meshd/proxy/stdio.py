"""A running stdio server with its handshake done: a child process and the conversation with it.

Source: MCP 2025-11-25, basic/lifecycle.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Self

import msgspec

from meshd.protocol.jsonrpc import Reply
from meshd.protocol.versions import HANDSHAKE, LATEST_HANDSHAKE
from meshd.proxy.child import Child, Command
from meshd.proxy.stderr_tail import visible
from meshd.proxy.stdio_talk import Limits, Listener, StdioTalk
from meshd.proxy.watchdog import Watchdog
from meshd.wire.errors import MeshError, UpstreamFailed, UpstreamTimeout
from meshd.wire.version import VERSION

START_DEADLINE = 60.0
"""Seconds from the start to the answer of `initialize`; the first `npx` downloads a lot."""

GIVEN_UP_WAIT = 0.2
"""Seconds for a server to notice that it is not wanted, when its handshake failed."""

_HELLO = msgspec.json.encode(
    {
        "protocolVersion": LATEST_HANDSHAKE,
        "capabilities": {},
        "clientInfo": {"name": "meshctl", "version": VERSION},
    }
)


class _Welcome(msgspec.Struct):
    protocolVersion: str  # noqa: N815 - the wire's name


class _Refusal(msgspec.Struct):
    message: str = ""


class StdioUpstream:
    """A server that many callers share. Made by `start`; ends by `stop`, or by its own fault."""

    def __init__(
        self,
        command: Command,
        folder: Path,
        clock: Callable[[], float],
        limits: Limits,
        watchdog: Watchdog | None,
    ) -> None:
        """Use `start`."""
        self.initialize_result = b""
        """What the server answered to `initialize`, as raw JSON."""
        self.closed = asyncio.Event()
        """Set when the server can no longer be asked; `reason` then says why."""
        self.ended_at: float | None = None
        """When that was, by `clock`."""
        self.name = command.name
        self._clock = clock
        self.child = Child(
            command,
            folder=folder,
            on_stdout=self._received,
            on_end=self._ended,
            clock=clock,
            watchdog=watchdog,
        )
        self.talk = StdioTalk(self.child, self.name, limits, self._broken)

    @classmethod
    async def start(
        cls,
        command: Command,
        *,
        folder: Path,
        clock: Callable[[], float] = time.monotonic,
        start_deadline: float = START_DEADLINE,
        limits: Limits = Limits(),  # noqa: B008 - immutable
        watchdog: Watchdog | None = None,
    ) -> Self:
        """Start the process and shake hands; `folder` takes the record of the child.

        Raises:
            UpstreamFailed: it cannot be started, ends, does not speak MCP, or not in time.
        """
        upstream = cls(command, folder, clock, limits, watchdog)
        try:
            await upstream.child.spawn()
            await upstream._shake_hands(start_deadline)
        except BaseException:
            upstream._end(UpstreamFailed(f'"{upstream.name}" did not start'))
            await upstream.child.stop(eof_wait=GIVEN_UP_WAIT)  # the caller waits for the error
            raise
        return upstream

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self.talk.reason is None

    @property
    def reason(self) -> MeshError | None:
        """Why it can no longer be asked."""
        return self.talk.reason

    def request(
        self,
        method: str,
        params: bytes,
        *,
        on_notification: Callable[[bytes], None] | None = None,
        deadline: float | None = None,
        ceiling: float | None = None,
    ) -> Coroutine[Any, Any, Reply]:
        """Ask the server: see `StdioTalk.request`."""
        return self.talk.request(
            method, params, on_notification=on_notification, deadline=deadline, ceiling=ceiling
        )

    def notify(self, method: str, params: bytes = b"") -> None:
        """Tell the server something: see `StdioTalk.notify`."""
        self.talk.notify(method, params)

    def listen(self, callback: Listener, *, holds: bool = True) -> Callable[[], None]:
        """Hear its notifications: see `StdioTalk.listen`."""
        return self.talk.listen(callback, holds=holds)

    async def answers_within(self, seconds: float) -> bool:
        """Whether it answers a ping in that time. If not, it is ended: nothing else will come."""
        try:
            await self.request("ping", b"{}", ceiling=seconds)
        except MeshError:
            self._broken(f"did not answer within {seconds:g} s after the machine slept")
        return self.alive

    async def stop(self) -> None:
        """Fail what waits, end the process and its group. Returns when both are gone."""
        self._end(UpstreamFailed(f'"{self.name}" was stopped'))
        await self.child.stop()

    async def _shake_hands(self, deadline: float) -> None:
        try:
            reply = await self.request("initialize", _HELLO, ceiling=deadline)
        except UpstreamTimeout:
            raise self._failure(f"did not answer initialize within {deadline:g} s") from None
        if reply.result is None:
            raise self._failure(f"refused initialize: {_sentence_of(reply.error or b'')}")
        try:
            version = msgspec.json.decode(reply.result, type=_Welcome).protocolVersion
        except msgspec.DecodeError:
            raise self._failure("answered initialize without a protocolVersion") from None
        if version not in HANDSHAKE:
            raise self._failure(f"speaks MCP {visible(version[:40])}, which is not supported here")
        self.initialize_result = reply.result
        self.notify("notifications/initialized")

    def _received(self, chunk: bytes) -> None:
        self.talk.received(chunk)

    def _ended(self) -> None:
        self._end(self._failure(self.child.fate))

    def _broken(self, fault: str) -> None:
        self._end(self._failure(fault))
        self.child.kill()

    def _end(self, reason: MeshError) -> None:
        if self.alive:
            self.talk.end(reason)
            self.ended_at = self._clock()
            self.closed.set()

    def _failure(self, fault: str) -> UpstreamFailed:
        facts = self.child.facts()
        if skipped := self.talk.first_skipped:
            facts["stdout"] = visible(self.child.stderr.mask(skipped.decode(errors="replace")))
        return UpstreamFailed(f'"{self.name}" {fault}', facts=facts)


def _sentence_of(error: bytes) -> str:
    try:
        return visible(msgspec.json.decode(error, type=_Refusal).message[:500])
    except msgspec.DecodeError:
        return "no reason given"

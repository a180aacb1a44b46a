"""A running stdio server that said what it is: a child process and the conversation with it."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Self

from meshd.protocol.envelope import enveloped
from meshd.protocol.jsonrpc import Reply
from meshd.protocol.members import members, raw, text
from meshd.protocol.subscriptions import CHANGES, all_changes, unlabelled
from meshd.proxy.adapter import OURSELVES
from meshd.proxy.child import Child, Command
from meshd.proxy.stderr_tail import visible
from meshd.proxy.stdio_adapter import StdioAdapter, capabilities_of
from meshd.proxy.stdio_greeting import Failed, Greeting, Unfit, greet
from meshd.proxy.stdio_talk import Limits, Listener, StdioTalk
from meshd.proxy.watchdog import Watchdog
from meshd.wire.errors import MeshError, UpstreamFailed

START_DEADLINE = 60.0
"""Seconds from the start to the answer of `initialize`; the first `npx` downloads a lot."""

GIVEN_UP_WAIT = 0.2
"""Seconds for a server to notice that it is not wanted, when its handshake failed."""


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
        self.greeting = Greeting("handshake", b"", b"")
        """What the server said of itself, and which era it speaks."""
        self.probed = True
        """Whether it bears to be asked which era it speaks."""
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
        probe: bool = True,
    ) -> Self:
        """Start the process and greet it; `folder` takes the record of the child.

        With `probe`, the server is asked first which era it speaks. One that does not bear that is
        started a second time, without.

        Raises:
            UpstreamFailed: it cannot be started, ends, does not speak MCP, or not in time.
        """
        upstream = cls(command, folder, clock, limits, watchdog)
        upstream.probed = probe
        try:
            await upstream.child.spawn()
            await upstream._greet(start_deadline)
        except BaseException as error:
            upstream._end(UpstreamFailed(f'"{upstream.name}" did not start'))
            await upstream.child.stop(eof_wait=GIVEN_UP_WAIT)  # the caller waits for the error
            if not isinstance(error, Unfit):
                raise
        else:
            return upstream
        return await cls.start(
            command, folder=folder, clock=clock, start_deadline=start_deadline, limits=limits,
            watchdog=watchdog, probe=False,
        )  # fmt: skip

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self.talk.reason is None

    @property
    def reason(self) -> MeshError | None:
        """Why it can no longer be asked."""
        return self.talk.reason

    @property
    def initialize_result(self) -> bytes:
        """What the server said of itself, as an `initialize` result."""
        return self.greeting.welcome

    @property
    def adapter(self) -> StdioAdapter:
        """The way to ask it on behalf of clients."""
        return StdioAdapter(self.talk, self.greeting)

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
        """Whether it answers in that time. If not, it is ended: nothing else will come."""
        stateless = self.greeting.era == "stateless"
        try:
            if stateless:
                await self.request("server/discover", enveloped({}, OURSELVES), ceiling=seconds)
            else:
                await self.request("ping", b"{}", ceiling=seconds)
        except MeshError:
            self._broken(f"did not answer within {seconds:g} s after the machine slept")
        return self.alive

    async def stop(self) -> None:
        """Fail what waits, end the process and its group. Returns when both are gone."""
        self._end(UpstreamFailed(f'"{self.name}" was stopped'))
        await self.child.stop()

    async def _greet(self, deadline: float) -> None:
        try:
            self.greeting = await greet(self.talk, deadline, probe=self.probed)
        except Failed as fault:
            raise self._failure(str(fault)) from None
        changes = all_changes(capabilities_of(self.greeting))
        if self.greeting.era == "stateless" and changes.changes:
            wanted = {"notifications": raw(changes.as_members())}
            self.talk.subscribe(enveloped(wanted, OURSELVES), self._changed, holds=False)

    def _changed(self, notification: bytes) -> None:
        method = text(members(notification).get("method")) or ""
        if method in CHANGES:
            self.talk.announce(method, unlabelled(notification))

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
        return UpstreamFailed.gone(f'"{self.name}" {fault}', facts=facts)

"""The stdio servers that run: one per key, started when first asked for, shared by all who ask.

Who may ask is decided before. A key names a connection and the revision of its credentials, so
that changed credentials start another child; the owner drops the key that is no longer used.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from meshd.core.tasks import TaskGroup
from meshd.proxy.child import Command
from meshd.proxy.stdio import START_DEADLINE, StdioUpstream
from meshd.proxy.stdio_talk import Limits, afresh
from meshd.wire.errors import MeshError, UpstreamFailed

FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
"""Seconds between starts that fail: the first, doubled each time, up to the longest."""
STEADY = 60.0
"""Seconds a server has to live for its end to count as an accident, not as another failed start."""


class Backoff:
    """When the next start may be tried, and why not yet."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._faults = 0
        self._until = 0.0
        self._error: MeshError | None = None

    def failed(self, error: MeshError) -> None:
        """A start failed."""
        self._faults += 1
        self._remember(error, self._clock())

    def died(self, error: MeshError, *, born: float, at: float) -> None:
        """A started server ended. The first end in a row is forgiven: it is replaced at once."""
        if at - born >= STEADY:
            self._faults = 0
        self._faults += 1
        self._remember(error, at)
        if self._faults == 1:
            self._error = None

    def _remember(self, error: MeshError, at: float) -> None:
        self._until = at + min(FIRST_WAIT * 2 ** (self._faults - 1), LONGEST_WAIT)
        self._error = error

    def check(self) -> None:
        """Return when a start may be tried.

        Raises:
            UpstreamFailed: not yet; the remembered error, and when the next try is.
        """
        left = self._until - self._clock()
        if self._error is None or left <= 0:
            return
        facts = self._error.facts | {"next try": f"in {left:.1f} s"}
        raise UpstreamFailed(self._error.message, next=self._error.next, facts=facts)


class _Start:
    """A start under way. Its outcome is a value, also an error: the waiters may all have left."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[StdioUpstream | MeshError] = (
            asyncio.get_running_loop().create_future()
        )
        self.task: asyncio.Task[None] | None = None

    def finish(self, outcome: StdioUpstream | MeshError) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class _Slot:
    """What is known of one key."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.backoff = Backoff(clock)
        self.upstream: StdioUpstream | None = None
        self.dead: StdioUpstream | None = None
        """The one before, until its process is surely gone."""
        self.start: _Start | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """A child as `status` shows it."""

    key: str
    name: str
    pid: int
    age: float
    """Seconds since it was started."""
    returncode: int | None
    in_flight: int
    skipped: int
    """Lines on its stdout that were no messages."""


class StdioPool:
    """Owns every stdio child of the daemon."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        start_deadline: float = START_DEADLINE,
        limits: Limits = Limits(),  # noqa: B008 - immutable
    ) -> None:
        """Keep the records of children in `folder`; `clock` gives monotonic seconds."""
        self._folder = folder
        self._clock = clock
        self._start_deadline = start_deadline
        self._limits = limits
        self._slots: dict[str, _Slot] = {}
        self._tasks = TaskGroup("stdio_pool")
        self._closed = False

    async def get(self, key: str, command: Command | Callable[[], Command]) -> StdioUpstream:
        """The live server of `key`; `command` is asked for only when it has to be started.

        Raises:
            UpstreamFailed: it cannot be started, or could not a moment ago.
        """
        if self._closed:
            raise UpstreamFailed("meshd is stopping")
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = _Slot(self._clock)
        if slot.upstream is not None and slot.upstream.alive:
            return slot.upstream
        start = slot.start or self._begin(key, slot, command)
        outcome = await asyncio.shield(start.outcome)
        if isinstance(outcome, MeshError):
            raise afresh(outcome)
        return outcome

    def _begin(self, key: str, slot: _Slot, command: Command | Callable[[], Command]) -> _Start:
        dead = slot.upstream
        if dead is not None and dead.reason is not None and dead.ended_at is not None:
            slot.backoff.died(dead.reason, born=dead.child.started_at, at=dead.ended_at)
            slot.dead, slot.upstream = dead, None
        slot.backoff.check()
        order = command if isinstance(command, Command) else command()
        start = slot.start = _Start()
        start.task = self._tasks.start(f"start {key}", self._run(slot, start, order))
        return start

    async def _run(self, slot: _Slot, start: _Start, command: Command) -> None:
        try:
            if slot.dead is not None:
                await slot.dead.stop()
                slot.dead = None
            slot.upstream = await StdioUpstream.start(
                command,
                folder=self._folder,
                clock=self._clock,
                start_deadline=self._start_deadline,
                limits=self._limits,
            )
            start.finish(slot.upstream)
        except UpstreamFailed as error:
            slot.backoff.failed(error)
            start.finish(error)
        finally:
            slot.start = None
            start.finish(UpstreamFailed(f'the start of "{command.name}" was broken off'))

    async def drop(self, key: str) -> None:
        """Stop the server of `key` and forget it. Returns when the process is gone."""
        slot = self._slots.pop(key, None)
        if slot is None:
            return
        if slot.start is not None and slot.start.task is not None:
            # A task cancelled before its first step never gets to its own `finally`.
            slot.start.finish(UpstreamFailed("the connection was dropped while it started"))
            slot.start.task.cancel()
            await asyncio.wait([slot.start.task])
        for upstream in (slot.upstream, slot.dead):
            if upstream is not None:
                await upstream.stop()

    async def close(self) -> None:
        """Stop them all at once; nothing starts from now on."""
        self._closed = True
        await asyncio.gather(*(self.drop(key) for key in tuple(self._slots)))
        await self._tasks.stop()

    def running(self) -> list[Running]:
        """The children there are, dead ones until they are replaced."""
        now = self._clock()
        return [
            Running(
                key=key,
                name=upstream.name,
                pid=upstream.child.pid,
                age=now - upstream.child.started_at,
                returncode=upstream.child.returncode,
                in_flight=upstream.talk.in_flight,
                skipped=upstream.talk.skipped,
            )
            for key, slot in self._slots.items()
            if (upstream := slot.upstream) is not None
        ]

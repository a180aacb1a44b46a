"""The stdio servers that run: one per key, started when first asked for, shared by all who ask.

Who may ask is decided before. A key names a connection, and its revision the command and the
credentials: a changed connection gets another child, and only when the one before is gone. A child
that nobody uses is stopped, and started again when somebody does.
"""

import asyncio
import math
import time
from collections.abc import Callable
from pathlib import Path

from meshd.core.tasks import TaskGroup
from meshd.proxy.child import Command
from meshd.proxy.stdio import START_DEADLINE, StdioUpstream
from meshd.proxy.stdio_slot import Slot, Standing, Start, State
from meshd.proxy.stdio_talk import Limits, afresh
from meshd.proxy.wake import WakeWatch
from meshd.proxy.watchdog import Watchdog
from meshd.wire.errors import MeshError, UpstreamFailed

IDLE = 600
"""Seconds without use after which a server is stopped, where a connection does not say."""
LOOK = 30.0
"""Seconds between two looks for such servers."""
WAKE_WAIT = 2.0
"""Seconds a server has to answer a ping after the machine slept."""

Order = Command | Callable[[], Command]
"""A command, or what gives it when a server has to be started."""


class StdioPool:
    """Owns every stdio child of the daemon."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        start_deadline: float = START_DEADLINE,
        look: float = LOOK,
        limits: Limits = Limits(),  # noqa: B008 - immutable
    ) -> None:
        """Keep the records of children in `folder`; `clock` gives monotonic seconds."""
        self._folder = folder
        self._clock = clock
        self._start_deadline = start_deadline
        self._look = look
        self._limits = limits
        self._slots: dict[str, Slot] = {}
        self._wake = WakeWatch(clock, wall)
        self._watchdog = Watchdog()
        self._tasks = TaskGroup("stdio_pool")
        self._resting: asyncio.Task[None] | None = None
        self._closed = False

    async def get(
        self, key: str, command: Order, revision: str = "", *, idle: float = IDLE
    ) -> StdioUpstream:
        """The live server of `key`; `command` is asked for only when it has to be started.

        It is stopped after `idle` seconds without use, never for 0. After the machine slept, it is
        asked first whether it is still there.

        Raises:
            UpstreamFailed: it cannot be started, or could not a moment ago.
        """
        if self._closed:
            raise UpstreamFailed("meshd is stopping")
        self._look_for_sleep()
        slot = self._slot(key, revision)
        slot.idle = idle
        if slot.upstream is not None and slot.upstream.alive and not slot.suspect:
            return slot.upstream
        start = slot.start or self._begin(key, slot, command)
        outcome = await asyncio.shield(start.outcome)
        if isinstance(outcome, MeshError):
            raise afresh(outcome)
        return outcome

    def state(self, key: str, revision: str = "") -> State:
        """What `get` would find now; `resting` for a key that is not known yet."""
        self._look_for_sleep()
        slot = self._slots.get(key)
        if slot is None or slot.revision != revision:
            return "resting"
        slot.bury()
        return slot.state

    def welcome(self, key: str, revision: str = "") -> bytes:
        """What the server last answered to `initialize`; empty when it never did."""
        slot = self._slots.get(key)
        return slot.welcome if slot is not None and slot.revision == revision else b""

    async def rest(self) -> None:
        """Stop the servers that were without use for long; the next call starts them again."""
        now, resting = self._clock(), []
        for slot in self._slots.values():
            upstream = slot.upstream
            if upstream is None or not upstream.alive or slot.start is not None:
                continue
            if slot.quiet.seconds(upstream.talk, now) >= (slot.idle or math.inf):
                slot.lay_down(f"stopped after {slot.idle:g} s without use")
                resting.append(upstream.stop())
        await asyncio.gather(*resting)

    async def drop(self, key: str, revision: str | None = None) -> None:
        """Stop the server of `key` and forget it. Returns when the process is gone.

        With a `revision`, the server of another one that took its place already is left alone.
        """
        slot = self._slots.get(key)
        if slot is None:
            return
        if revision in {None, slot.revision}:
            del self._slots[key]
            await self._end(slot)
        elif slot.before is not None:
            await self._end(slot.before)

    async def close(self) -> None:
        """Stop them all at once; nothing starts from now on."""
        self._closed = True
        await asyncio.gather(*(self.drop(key) for key in tuple(self._slots)))
        await self._tasks.stop()
        await self._watchdog.close()

    def standing(self) -> list[Standing]:
        """Every key that was asked for, with its process if it has one."""
        now = self._clock()
        return [slot.standing(key, now) for key, slot in self._slots.items()]

    def _look_for_sleep(self) -> None:
        if self._wake.woke():
            for slot in self._slots.values():
                slot.suspect = True

    def _slot(self, key: str, revision: str) -> Slot:
        slot = self._slots.get(key)
        if slot is None or slot.revision != revision:
            slot = self._slots[key] = Slot(revision, self._clock, before=slot)
        return slot

    def _begin(self, key: str, slot: Slot, command: Order) -> Start:
        if self._resting is None:
            self._resting = self._tasks.start("rest", self._rest_for_ever())
        upstream, start = slot.upstream, Start()
        if upstream is not None and upstream.alive:
            work = self._probe(slot, upstream, start, command)
        else:
            work = self._run(slot, start, self._order(slot, command))
        slot.start = start
        start.task = self._tasks.start(f"start {key}", work)
        return start

    def _order(self, slot: Slot, command: Order) -> Command:
        slot.bury()
        slot.backoff.check()
        return command if isinstance(command, Command) else command()

    async def _probe(
        self, slot: Slot, upstream: StdioUpstream, start: Start, command: Order
    ) -> None:
        """Find out whether a server survived the sleep of the machine; replace it if not."""
        try:
            if await upstream.answers_within(WAKE_WAIT):
                slot.suspect, slot.start = False, None
                start.finish(upstream)
            else:
                await self._run(slot, start, self._order(slot, command))
        except MeshError as error:
            start.finish(error)
        finally:
            slot.start = None
            start.finish(_broken_off(upstream.name))

    async def _run(self, slot: Slot, start: Start, command: Command) -> None:
        try:
            if slot.before is not None:
                await self._end(slot.before)
                slot.before = None
            if slot.dead is not None:
                await slot.dead.stop()
                slot.dead = None
            upstream = await StdioUpstream.start(
                command,
                folder=self._folder,
                clock=self._clock,
                start_deadline=self._start_deadline,
                limits=self._limits,
                watchdog=self._watchdog,
                probe=slot.probe,
            )
            slot.began(upstream)
            start.finish(upstream)
        except UpstreamFailed as error:
            slot.backoff.failed(error)
            slot.note_exit(error)
            start.finish(error)
        finally:
            slot.start = None
            start.finish(_broken_off(command.name))

    async def _end(self, slot: Slot) -> None:
        """Stop whatever runs or starts for a slot, and for those before it."""
        if slot.start is not None and slot.start.task is not None:
            # A task cancelled before its first step never gets to its own `finally`.
            slot.start.finish(UpstreamFailed("the connection was dropped while it started"))
            slot.start.task.cancel()
            await asyncio.wait([slot.start.task])
        ends = [one.stop() for one in (slot.upstream, slot.dead) if one is not None]
        if slot.before is not None:
            ends.append(self._end(slot.before))
        await asyncio.gather(*ends)

    async def _rest_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._look)
            await self.rest()


def _broken_off(name: str) -> UpstreamFailed:
    return UpstreamFailed(f'the start of "{name}" was broken off')

"""Housekeeping: what is too old, or of no org any more, leaves in batches; uses are written."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from meshd.core.clock import MICROSECONDS, Clock
from meshd.services.keys import Keys
from meshd.services.records import Records
from meshd.store.db import Step, StoreError
from meshd.store.scoped import ScopedDatabase

log = logging.getLogger(__name__)

EVERY = 60.0
PAUSE = 0.05
DAY = 24 * 3600 * MICROSECONDS
KEEP_ENDED, KEEP_ATTEMPTS, KEEP_DEAD = DAY, 7 * DAY, 30 * DAY
"""How long deliveries that ended well, attempts and slots, and what was given up are kept."""


@dataclass(slots=True)
class Retention:
    """How long things are kept, in microseconds. It may change while the daemon runs."""

    events: int
    calls: int
    waiting: int
    """What nobody took: deliveries, from when they could have been delivered."""


Expire = Callable[[int], Awaitable[int]]
"""Gives up a batch of deliveries that wait since before a moment; how many there were."""


class Sweeper:
    """Runs for ever, once a minute."""

    def __init__(
        self,
        main: ScopedDatabase,
        calls: ScopedDatabase,
        keys: Keys,
        records: Records,
        clock: Clock,
        keep: Retention,
        expire: Expire,
    ) -> None:
        self._main = main
        self._calls = calls
        self._keys = keys
        self._records = records
        self._clock = clock
        self._keep = keep
        self._expire = expire

    async def run(self) -> None:
        """Sweep, for ever. A failing database is tried again the next time."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self._keys.write_last_used()
                await self.sweep()
                await self._records.erase_orphans()
            except StoreError as error:
                log.warning("housekeeping could not be done: %s", error)

    async def sweep(self) -> int:
        """Drop, or give up, what is older than retention; how many rows went."""
        now, gone = self._clock.now(), 0
        while expired := await self._expire(now - self._keep.waiting):
            gone += expired
            await asyncio.sleep(PAUSE)
        for db, query, state, keep in (
            (self._main, "delivery.sweep_attempts", "", KEEP_ATTEMPTS),
            (self._main, "delivery.sweep", "done", KEEP_ENDED),
            (self._main, "delivery.sweep", "cancelled", KEEP_ENDED),
            (self._main, "delivery.sweep", "dead", KEEP_DEAD),
            (self._main, "schedule.sweep", "", KEEP_ATTEMPTS),
            (self._main, "event.sweep", "", self._keep.events),
            (self._calls, "call.sweep", "", self._keep.calls),
        ):
            old = {"time": now - keep, "state": state, "now": now}
            while rows := (await db.write(Step(query, old)))[0]:
                gone += len(rows)
                await asyncio.sleep(PAUSE)
        return gone

"""How many deliveries of an org are in each state, for those who ask again and again."""

import asyncio
from dataclasses import dataclass

from meshd.core.clock import Clock
from meshd.services.delivery_states import counted
from meshd.store.scoped import ScopedDatabase

QUICK = 0.05
"""Seconds; what is counted in less is counted anew for each who asks."""
REST = 10
"""Any other answer is given for so many times as long as the counting took."""


@dataclass(frozen=True, slots=True)
class Counted:
    """`at` and `oldest` are in microseconds since the epoch; the oldest waits, if one does."""

    at: int
    states: dict[str, int]
    oldest: int | None
    until: float
    """In the clock's monotonic seconds."""


class DeliveryCounts:
    """Counts for one at a time, so that however many ask, others find a reader of the database."""

    def __init__(self, db: ScopedDatabase, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._turn = asyncio.Lock()
        self._known: dict[str, Counted] = {}

    async def of(self, org: str) -> Counted:
        """As it is, or, where that took long to find out, as it was a moment ago."""
        async with self._turn:
            begun = self._clock.monotonic()
            self._known = {key: one for key, one in self._known.items() if one.until > begun}
            if (known := self._known.get(org)) is not None:
                return known
            now = self._clock.now()
            rows = await self._db.org(org).all("delivery.counts", now=now)
            ended = self._clock.monotonic()
            took = ended - begun
            found = Counted(
                now,
                counted(rows),
                min((row["oldest"] for row in rows if row["state"] == "ready"), default=None),
                ended + REST * took,
            )
            if took > QUICK:
                self._known[org] = found
            return found

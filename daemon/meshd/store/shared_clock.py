"""The time of a database that several daemons use: where theirs differ, leases would not hold.

Between two looks it goes on by the monotonic clock, so that a wall clock that is set moves nothing.
"""

from meshd.core.clock import MICROSECONDS, Clock
from meshd.store.scoped import ScopedDatabase


class SharedClock:
    """A `Clock` that daemons on one server agree on, once it has looked.

    A file has one daemon, and keeps its clock.
    """

    def __init__(self, db: ScopedDatabase, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._seen: tuple[int, float] | None = None

    async def look(self) -> None:
        """Ask the database. The answer is taken to be from the middle of the round trip.

        Raises:
            StoreUnavailable: it does not answer; the time goes on as it was.
        """
        if self._db.dialect == "sqlite":
            return
        before = self._clock.monotonic()
        row = await self._db.one("meta.time")
        if row is not None:
            self._seen = int(row["now"]), (before + self._clock.monotonic()) / 2

    def now(self) -> int:
        """Microseconds since the epoch, UTC."""
        if self._seen is None:
            return self._clock.now()
        moment, at = self._seen
        return moment + round((self._clock.monotonic() - at) * MICROSECONDS)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._clock.monotonic()

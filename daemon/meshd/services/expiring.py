"""Tells of keys that end soon: one event for each end, however many daemons look."""

import asyncio
import logging

from meshd.core.clock import MICROSECONDS, Clock, iso
from meshd.services.directory import Directory
from meshd.services.events import Events
from meshd.services.principal import Principal, the_daemon
from meshd.store.db import ExpectFailed, Step, StoreError
from meshd.store.scoped import ScopedDatabase
from meshd.wire.errors import Unavailable

log = logging.getLogger(__name__)

EVERY = 60.0
AHEAD = 7 * 86_400 * MICROSECONDS
"""How long before its end a key is told of."""


class Expiring:
    """Looks at the snapshot once a minute; the database is asked about a new end alone."""

    def __init__(
        self, db: ScopedDatabase, directory: Directory, events: Events, clock: Clock
    ) -> None:
        self._db = db
        self._directory = directory
        self._events = events
        self._clock = clock
        self._told: set[tuple[str, int]] = set()

    async def run(self) -> None:
        """Tell, for ever. What a failing database keeps back is told the next time."""
        while True:
            try:
                await self.tell()
            except (StoreError, Unavailable) as error:
                log.warning("keys that end soon could not be told of: %s", error)
            await asyncio.sleep(EVERY)

    async def tell(self) -> None:
        """Write `mesh.key.expiring` for each key that ends within `AHEAD`, unless it was told."""
        now = self._clock.now()
        soon = {
            (key.principal.id, end): key.principal
            for key in self._directory.view.keys.values()
            if (end := key.principal.expires_at) is not None and now < end <= now + AHEAD
        }
        self._told &= soon.keys()
        for (key, end), principal in soon.items():
            if (key, end) not in self._told:
                await self._tell(principal, end)
                self._told.add((key, end))

    async def _tell(self, key: Principal, end: int) -> None:
        about = {"name": key.name, "expires_at": iso(end)}
        try:
            await self._db.org(key.org).write(
                Step("key.expiring", {"id": key.id, "end": end}, expect=1),
                self._events.step(the_daemon(key.org), "key.expiring", key.id, about),
            )
        except ExpectFailed:  # it was told of, or the key was changed meanwhile
            return
        self._events.bell.ring()

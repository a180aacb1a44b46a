"""Backups of a daemon that runs.

How one is written stands in `backups`, loaded when one is asked for: it is a tenth of a start.
"""

import logging

from meshd.core.clock import Clock
from meshd.core.config import Config
from meshd.services.events import Events
from meshd.services.principal import Principal
from meshd.store.db import StoreError
from meshd.store.opening import Databases
from meshd.wire.db import BackedUp, BackupAsked

log = logging.getLogger(__name__)


class Backups:
    """Backups of a daemon that runs; writers go on meanwhile."""

    def __init__(self, config: Config, databases: Databases, events: Events, clock: Clock) -> None:
        self._config = config
        self._databases = databases
        self._events = events
        self._clock = clock

    async def make(self, who: Principal, asked: BackupAsked) -> BackedUp:
        """Write a backup that has every change acknowledged before this call.

        Raises:
            BadRequest: the file cannot be written.
            Unconfirmed: it is there already.
            Unavailable: the database cannot be read.
        """
        from meshd.services import backups

        done = await backups.make(self._config, asked, self._clock, self._databases)
        told = {"file": done.file, "bytes": done.bytes}
        event = self._events.step(who, "db.backed_up", "database", told)
        try:
            await self._databases.main.write(backups.remembered(done))
            await self._databases.main.org(who.org).write(event)
        except StoreError as error:  # the backup is whole, and where it was asked for
            log.warning("the backup %s could not be put on record: %s", done.file, error)
        self._events.bell.ring()
        return done

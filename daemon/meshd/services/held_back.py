"""Targets that fail so often that they are only probed: that is told of, and how it ends."""

import logging
from collections.abc import Callable, Mapping

from meshd.services.events import Events
from meshd.services.principal import the_daemon
from meshd.services.subscription_rows import SubscriptionRow
from meshd.store.db import StoreError
from meshd.store.scoped import ScopedDatabase

log = logging.getLogger(__name__)


class HeldBack:
    """Tells what this daemon found out; it is kept nowhere else, so what cannot be told is lost."""

    def __init__(
        self,
        db: ScopedDatabase,
        events: Events,
        subscriptions: Callable[[], Mapping[str, SubscriptionRow]],
    ) -> None:
        self._db = db
        self._events = events
        self._subscriptions = subscriptions

    async def tell(self, subscription: str, failures: int) -> None:
        """It is held back after so many failures; with none, it goes on."""
        row = self._subscriptions().get(subscription)
        if row is None:
            return
        kind, more = ("held_back", {"failures": failures}) if failures else ("recovered", {})
        about = {"name": row.name, **more}
        step = self._events.step(the_daemon(row.org), f"subscription.{kind}", row.id, about)
        try:
            await self._db.org(row.org).write(step)
        except StoreError as error:
            log.warning("that %s is %s could not be told: %s", row.id, kind, error)
            return
        self._events.bell.ring()

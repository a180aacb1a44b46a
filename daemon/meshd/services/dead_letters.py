"""Deliveries that are given up: each is told of, in the unit that ends it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from meshd.bus.queue import Ended, kept_error
from meshd.core.clock import Clock, iso
from meshd.services.events import Events
from meshd.services.principal import the_daemon
from meshd.services.subscription_rows import SubscriptionRow
from meshd.store.db import Row, Step
from meshd.store.scoped import ScopedDatabase
from meshd.wire.system_events import is_about_deliveries

TOO_LONG = "it waited for too long"


class DeadLetters:
    """Tells of each once. What tells of deliveries itself is given up in silence: no loops."""

    def __init__(
        self,
        db: ScopedDatabase,
        events: Events,
        subscriptions: Callable[[], Mapping[str, SubscriptionRow]],
        clock: Clock,
    ) -> None:
        self._db = db
        self._events = events
        self._subscriptions = subscriptions
        self._clock = clock

    def of_attempts(self, ended: Sequence[Ended], now: int) -> Sequence[Step]:
        """Steps for those among some attempts that were the last; see `meshd.bus.queue.Told`."""
        return [
            self._told(one.claim.org, {
                "delivery": one.claim.id, "event_id": one.claim.event["id"],
                "event_type": one.claim.event["type"], "event_source": one.claim.event["source"],
                "subscription_id": one.claim.subscription,
                "subscription": self._name(one.claim.subscription),
                "attempt": one.next.attempt, "error": kept_error(one.outcome), "expired": False,
                "ended_at": iso(now),
            }, one.claim.fence, now)
            for one in ended
            if one.next.state == "dead" and not is_about_deliveries(one.claim.event["type"])
        ]  # fmt: skip

    async def expire(self, before: int) -> int:
        """Give up a batch of what waits since before a moment; how many there were.

        Raises:
            StoreError: the database does not answer. What is given up is told of.
        """
        now = self._clock.now()
        rows = await self._db.all("delivery.overdue", time=before, now=now)
        by_org: dict[str, list[Row]] = {}
        for row in sorted(rows, key=lambda row: str(row["id"])):  # the order of every other unit
            by_org.setdefault(row["org_id"], []).append(row)
        for org, mine in by_org.items():
            given_up = [
                {
                    "id": row["id"], "fence": row["fence"], "time": before, "now": now,
                    "error": row["error"] or TOO_LONG,
                }
                for row in mine
            ]  # fmt: skip
            told = [self._of_expired(row, now) for row in mine]
            await self._db.org(org).write(
                Step("delivery.expire", rows=given_up), *(one for one in told if one is not None)
            )
        if rows:
            self._events.bell.ring()
        return len(rows)

    def _of_expired(self, row: Row, now: int) -> Step | None:
        if is_about_deliveries(row["type"]):
            return None
        about = {
            "delivery": row["id"], "event_id": row["event"], "event_type": row["type"],
            "event_source": row["source"], "subscription_id": row["subscription_id"],
            "subscription": row["subscription"], "attempt": row["attempt"],
            "error": row["error"] or TOO_LONG, "expired": True, "ended_at": iso(now),
        }  # fmt: skip
        return self._told(row["org_id"], about, row["fence"], now)

    def _told(self, org: str, about: dict[str, Any], fence: int, now: int) -> Step:
        return self._events.step(
            the_daemon(org), "delivery.dead", about["subscription_id"], about,
            query="event.add_dead", delivery=about["delivery"], fence=fence, time=now,
        )  # fmt: skip

    def _name(self, subscription: str) -> str:
        """Its name, or its id where it is just gone."""
        row = self._subscriptions().get(subscription)
        return subscription if row is None else row.name

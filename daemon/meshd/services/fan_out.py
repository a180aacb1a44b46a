"""From an event to its deliveries: one for each subscription that matches, in its own unit."""

from collections.abc import Callable, Mapping

from meshd.bus.match import matches_type
from meshd.bus.order import order_key
from meshd.services.subscription_rows import SubscriptionRow
from meshd.store.db import Step
from meshd.wire.ids import new_id

Rows = Callable[[], Mapping[str, SubscriptionRow]]


class FanOut:
    """Knows who subscribes at this moment; what another daemon made counts within a second."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def steps(
        self, org: str, event: Mapping[str, str], data: str | None, now: int
    ) -> tuple[Step, ...]:
        """The steps that follow the one that stores the event.

        `event` is its attributes, and `data` what it carries, if that is JSON.
        """
        return tuple(
            delivery(row.id, event, now, row.ordered_by and order_key(row.ordered_by, event, data))
            for row in self._rows().values()
            if row.org == org and row.active and _hears(row, event)
        )


def delivery(subscription: str, event: Mapping[str, str], now: int, key: str | None = None) -> Step:
    """One event for one subscription, where it comes after others with the same key."""
    return Step("delivery.add", {
        "id": new_id("dlv"), "subscription": subscription, "source": event["source"],
        "event": event["id"], "now": now, "order_key": key,
    })  # fmt: skip


def _hears(row: SubscriptionRow, event: Mapping[str, str]) -> bool:
    if row.publisher is not None and row.publisher != event["source"]:
        return False
    return matches_type(row.types, event["type"]) and row.matches(event)

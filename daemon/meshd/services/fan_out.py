"""From an event to its deliveries: one for each subscription that matches, in its own unit."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from meshd.bus.match import Attributes, matches_type
from meshd.bus.order import order_key
from meshd.services.cloud_event import attributes
from meshd.services.subscription_rows import SubscriptionRow
from meshd.store.db import Row
from meshd.wire.ids import new_timed_id

Rows = Callable[[], Mapping[str, SubscriptionRow]]

MAX_TYPES = 1000
"""Types whose subscriptions are remembered, until the next change of subscriptions."""


class FanOut:
    """Knows who subscribes at this moment; what another daemon made counts within a second."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._known: Mapping[str, SubscriptionRow] = {}
        self._by_type: dict[tuple[str, str], Sequence[SubscriptionRow]] = {}

    def deliveries(self, org: str, event: Row, at: int | None = None) -> list[dict[str, Any]]:
        """The deliveries of an event that is about to be stored, as rows for `delivery.add`.

        It is delivered `at` a later moment, if that is given.
        """
        wanting = self._of_type(org, event["type"])
        if not wanting:
            return []
        about = attributes(event)
        data = None if event.get("encoded") else event["data"]
        return [
            delivery(row.id, event, row.ordered_by and order_key(row.ordered_by, about, data), at)
            for row in wanting
            if _hears(row, about)
        ]

    def _of_type(self, org: str, kind: str) -> Sequence[SubscriptionRow]:
        rows = self._rows()
        if rows is not self._known:
            self._known, self._by_type = rows, {}
        found = self._by_type.get((org, kind))
        if found is None:
            found = [
                row
                for row in rows.values()
                if row.org == org and row.active and matches_type(row.types, kind)
            ]
            if len(self._by_type) < MAX_TYPES:
                self._by_type[org, kind] = found
        return found


def delivery(
    subscription: str, event: Row, key: str | None = None, at: int | None = None
) -> dict[str, Any]:
    """One event for one subscription, where it comes after others with the same key."""
    return {
        "id": new_timed_id("dlv", event["time"]), "subscription": subscription,
        "source": event["source"],
        "event": event["id"], "own": event.get("own_id") or event["id"], "now": event["time"],
        "at": event["time"] if at is None else at, "order_key": key,
    }  # fmt: skip


def _hears(row: SubscriptionRow, about: Attributes) -> bool:
    return (row.publisher is None or row.publisher == about["source"]) and row.matches(about)

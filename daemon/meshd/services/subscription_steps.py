"""Changes of subscriptions as steps of a unit, each with its event and its mark for snapshots."""

import json
from collections.abc import Mapping
from typing import Any

from meshd.core.clock import Clock
from meshd.services.events import Events
from meshd.services.principal import Principal
from meshd.services.subscription_rows import SubscriptionRow, stored_maker
from meshd.services.syncing import Wanted
from meshd.store.db import Step

_BUMP = Step("revision.bump", {"topic": "subscriptions"})


class SubscriptionSteps:
    """Decides nothing. `who` stands in the events, and becomes the maker of what it makes."""

    def __init__(self, events: Events, clock: Clock) -> None:
        self._events = events
        self._clock = clock

    def add(
        self, who: Principal, made: str, name: str, want: Wanted, target: Mapping[str, Any],
        *, kind: str, ordered_by: str | None = None, url: bytes | None = None,
        secret: bytes | None = None,
    ) -> list[Step]:  # fmt: skip
        """A new one with the id `made`. `url` and `secret` are sealed."""
        row = {
            "id": made, "name": name, "types": json.dumps(want.types), "publisher": want.publisher,
            "filter": want.filter, "kind": kind, "target": json.dumps(target), "url": url,
            "secret": secret, "ordered_by": ordered_by, "now": self._clock.now(), **_maker(who),
        }  # fmt: skip
        return self._unit(who, "added", made, name, Step("subscription.add", row))

    def remove(self, who: Principal, row: SubscriptionRow) -> list[Step]:
        """It hears nothing more, and what waits for it is cancelled.

        Twice: on a server another daemon may just be publishing for it, and the event that tells of
        this comes after that one's.
        """
        waits = {"subscription": row.id, "now": self._clock.now()}
        gone = Step("subscription.remove", {"id": row.id}, expect=1)
        cancelled = Step("delivery.cancel_of", waits)
        return [*self._unit(who, "removed", row.id, row.name, gone, cancelled), cancelled]

    def turn(
        self, who: Principal, row: SubscriptionRow, state: str, reason: str | None
    ) -> list[Step]:
        """Another state, unless somebody else just gave it that one."""
        about = {} if reason is None else {"reason": reason}
        columns = {"id": row.id, "state": state, "reason": reason, "now": self._clock.now()}
        kind = "paused" if state == "paused" else "resumed"
        turned = Step("subscription.turn", columns, expect=1)
        return self._unit(who, kind, row.id, row.name, turned, **about)

    def take_over(self, who: Principal, row: SubscriptionRow, want: Wanted) -> list[Step]:
        """Another filter perhaps; from now on it runs as `who`, and hears again."""
        columns = {"id": row.id, "filter": want.filter, "now": self._clock.now(), **_maker(who)}
        taken = Step("subscription.take_over", columns, expect=1)
        return self._unit(who, "edited", row.id, row.name, taken)

    def rotate(
        self, who: Principal, row: SubscriptionRow, secret: bytes, old: bytes, until: int
    ) -> list[Step]:
        """Another secret; the one before signs as well until then. Both are sealed."""
        columns = {
            "id": row.id, "secret": secret, "old_secret": old, "old_until": until,
            "now": self._clock.now(), "edition": row.edition,
        }  # fmt: skip
        rotated = Step("subscription.rotate", columns, expect=1)
        return self._unit(who, "secret_rotated", row.id, row.name, rotated)

    def _unit(
        self, who: Principal, kind: str, made: str, name: str, *steps: Step, **about: str
    ) -> list[Step]:
        told = self._events.step(who, f"subscription.{kind}", made, {"name": name, **about})
        return [*steps, _BUMP, told]


def _maker(who: Principal) -> dict[str, str]:
    return {"maker": stored_maker(who), "owner_id": who.owner}

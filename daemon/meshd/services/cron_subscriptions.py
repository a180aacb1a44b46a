"""Schedules that a connection runs for a subscription of its own, which end with that.

Servers made for deco's MCP Mesh have themselves called at times so: they subscribe to a type
`cron/NAME/PATTERN` and publish it by that pattern. They say what they want to hear, and never that
a schedule is to end.
"""

from collections.abc import Iterable

from meshd.services.events import Events
from meshd.services.principal import Principal
from meshd.services.publishing import connection_source, own_source
from meshd.services.subscription_rows import SubscriptionRow, read_maker
from meshd.store.db import Step
from meshd.store.scoped import ScopedDatabase

CRON_TYPES = "cron/"
"""What such types begin with."""


class CronSubscriptions:
    """Ends what is left over."""

    def __init__(self, db: ScopedDatabase, events: Events) -> None:
        self._db = db
        self._events = events

    async def ended(
        self, who: Principal, gone: Iterable[SubscriptionRow], kept: Iterable[tuple[str, ...]]
    ) -> list[Step]:
        """Steps that remove the schedules of subscriptions that go; `kept` are types heard still.

        A schedule that has a name was asked for by itself, and stays.
        """
        heard = {one for types in kept for one in types}
        steps: list[Step] = []
        for row in gone:
            if row.maker.connection is None:
                continue
            source = connection_source(row.maker.connection)
            for type_ in row.types:
                if type_.startswith(CRON_TYPES) and type_ not in heard:
                    steps += await self._removed(who, type_, source)
        return steps

    async def _removed(self, who: Principal, type_: str, source: str) -> list[Step]:
        rows = await self._db.org(who.org).all("schedule.published_types", type=type_)
        return [
            step
            for row in rows
            if own_source(read_maker(row)) == source
            for step in (
                Step("schedule.remove", {"id": row["id"]}, expect=1),
                self._events.step(who, "schedule.removed", row["id"], {"name": row["name"]}),
            )
        ]

"""System events: stored in the same unit as the change they tell of, followed by cursor."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from meshd.core.clock import Clock, instant
from meshd.core.glob import glob_match
from meshd.services.bell import Bell
from meshd.services.cloud_event import shown_event
from meshd.services.limits import check_tail
from meshd.services.principal import Principal
from meshd.services.tails import Tails
from meshd.store.db import Row, Step
from meshd.store.scoped import OrgDatabase, ScopedDatabase
from meshd.wire.errors import BadRequest
from meshd.wire.event import Event, EventTail
from meshd.wire.ids import new_id
from meshd.wire.system_events import declared

FanOut = Callable[[str, Row], Sequence[Mapping[str, Any]]]
"""The deliveries of an event of an org, as rows."""
FIELDS = frozenset({"id", "type", "source", "subject"})


class Events:
    """Writes system events and follows them."""

    def __init__(self, db: ScopedDatabase, clock: Clock, bell: Bell) -> None:
        self._db = db
        self._clock = clock
        self.bell = bell
        self._tails = Tails("event.after", "event.last", db, bell)
        self._fan_out: FanOut | None = None

    def deliver_by(self, fan_out: FanOut) -> None:
        """Let whoever subscribes have what happens; until then nobody does."""
        self._fan_out = fan_out

    def step(
        self,
        principal: Principal,
        kind: str,
        subject: str,
        data: Mapping[str, Any],
        *,
        query: str = "event.add",
        **guard: Any,
    ) -> Step:
        """The event `mesh.KIND` as a step of the change's own unit, with its deliveries.

        `data` holds no secret. Another `query` than the plain one may store it or not, as the unit
        finds things; what it asks for besides, `guard` has.

        Raises:
            Undeclared: the table of system events does not have it so.
        """
        told = declared(kind)
        told.check(data)
        about = {**data, "by": {"id": principal.id, "name": principal.name}}
        now = self._clock.now()
        row: dict[str, Any] = {
            "org_id": principal.org,
            "id": new_id("evt"),
            "type": told.type,
            "source": f"/orgs/{principal.org}",
            "subject": subject,
            "time": now,
            "data": json.dumps(about, ensure_ascii=False, separators=(",", ":")),
            **guard,
        }
        if self._fan_out is None:
            return Step(query, row)
        deliveries = self._fan_out(principal.org, row)
        also = (Step("delivery.add", rows=deliveries),) if deliveries else ()
        return Step(query, row, also=also)

    async def tail(
        self, principal: Principal, asked: EventTail
    ) -> AsyncIterator[Event | dict[str, Any] | None]:
        """Events after the cursor, oldest first; None when nothing came for a while.

        Raises:
            BadRequest: a filter, `after`, `since` or `limit` is not valid.
        """
        check_tail(asked.after, asked.limit)
        filters = [_filter(text) for text in asked.filter]
        left = asked.limit
        start = await self._start(self._db.org(principal.org), asked)
        async with aclosing(self._tails.rows(principal.org, start, follow=asked.follow)) as rows:
            async for row in rows:
                if row is None:
                    yield None
                elif all(glob_match(wanted, str(row[name] or "")) for name, wanted in filters):
                    yield shown_event(row)
                    left = None if left is None else left - 1
                    if left == 0:
                        return

    async def _start(self, db: OrgDatabase, asked: EventTail) -> int:
        if asked.after is not None:
            return asked.after
        if asked.since is not None:
            moment = instant(asked.since, self._clock.now(), ahead=False)
            row = await db.one("event.before_time", time=moment)
        elif asked.follow:
            row = await db.one("event.last")
        else:
            row = {"seq": 0}
        return int(row["seq"]) if row else 0


def _filter(text: str) -> tuple[str, str]:
    name, equals, wanted = text.partition("=")
    if not equals or name not in FIELDS:
        raise BadRequest(
            f'"{ascii(text[:60])[1:-1]}" is not a filter',
            facts={"filters are": "field=value, * is any run", "fields": " ".join(sorted(FIELDS))},
        )
    return name, wanted

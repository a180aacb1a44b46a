"""Watching deliveries, and repairing: what was given up is made ready again, in its own row."""

import json

from meshd.bus.dispatcher import Dispatcher
from meshd.core.clock import MICROSECONDS, Clock, iso, iso_or_none
from meshd.services.cloud_event import shown_event
from meshd.services.delivery_counts import DeliveryCounts
from meshd.services.delivery_states import STATES, counted, event_state, shown_state, stored_as
from meshd.services.directory import Directory
from meshd.services.events import Events
from meshd.services.limits import check_limit
from meshd.services.lookup import find_connection, find_subscription
from meshd.services.newest import Newest
from meshd.services.own_only import check_own_event, is_own
from meshd.services.principal import Principal
from meshd.services.publishing import own_source
from meshd.store.db import ExpectFailed, Row, Step
from meshd.store.scoped import ScopedDatabase
from meshd.wire.delivery import (
    Attempt,
    DeadChoice,
    DeadList,
    Delivery,
    DeliveryDetail,
    DeliveryList,
)
from meshd.wire.errors import BadRequest, Conflict, Denied, NotFound
from meshd.wire.event import (
    Event,
    EventAck,
    EventCancel,
    EventLine,
    EventList,
    EventStats,
    Repaired,
)
from meshd.wire.system_events import is_about_deliveries


class Deliveries:
    """Reads events and deliveries of an org, and changes what becomes of them."""

    def __init__(
        self,
        db: ScopedDatabase,
        directory: Directory,
        events: Events,
        dispatcher: Dispatcher,
        clock: Clock,
    ) -> None:
        self._db = db
        self._directory = directory
        self._events = events
        self._dispatcher = dispatcher
        self._clock = clock
        self._counts = DeliveryCounts(db, clock)
        self._newest = Newest("delivery.edge", "delivery.list")
        self._newest_events = Newest("event.edge", "event.list")

    async def events(self, who: Principal, asked: EventList) -> list[EventLine]:
        """Events, newest first. Raises BadRequest."""
        check_limit(asked.limit)
        db = self._db.org(who.org)
        rows = await self._newest_events.rows(db, asked.limit, type=asked.type, source=asked.source)
        by_event: dict[int, list[Row]] = {row["seq"]: [] for row in rows}
        seqs = json.dumps(list(by_event))
        for row in await db.all("delivery.counts_of", seqs=seqs, now=self._clock.now()):
            by_event[row["event_seq"]].append(row)
        return [_line(row, counted(by_event[row["seq"]])) for row in rows]

    async def event(self, who: Principal, name: str) -> Event:
        """One event. Raises NotFound, and Conflict where several have the id."""
        return shown_event(await self._event(who, name))  # type: ignore[return-value]

    async def all(self, who: Principal, asked: DeliveryList) -> list[Delivery]:
        """Deliveries, newest first. Raises BadRequest, NotFound."""
        check_limit(asked.limit)
        if asked.state is not None and asked.state not in STATES:
            raise BadRequest("no such state", facts={"states are": " ".join(STATES)})
        seq = None if asked.event is None else (await self._event(who, asked.event))["seq"]
        stored = stored_as(asked.state)
        return await self._listed(who, stored, asked.subscription, seq, asked.limit)

    async def dead(self, who: Principal, asked: DeadList) -> list[Delivery]:
        """What was given up or grew too old, newest first. Raises as `all`."""
        check_limit(asked.limit)
        given_up = {**stored_as("dead"), "expired": None}
        return await self._listed(who, given_up, asked.subscription, None, asked.limit)

    async def show(self, who: Principal, name: str) -> DeliveryDetail:
        """One delivery with its attempts. Raises NotFound."""
        db = self._db.org(who.org)
        row = await db.one("delivery.show", id=name)
        if row is None:
            raise _no_delivery(name)
        attempts = await db.all("delivery.attempts", id=name)
        shown = _columns(row, self._clock.now())
        return DeliveryDetail(**shown, attempts=[_attempt(one) for one in attempts])

    async def retry(self, who: Principal, name: str) -> Repaired:
        """Try now what waits of an event, and what was given up. Raises as `event`, and Denied."""
        event, now = await self._own_event(who, name), self._clock.now()
        return await self._changed(
            who,
            Step("delivery.hurry", {"event_seq": event["seq"], "now": now}),
            Step("delivery.revive", {"event_seq": event["seq"], "ended": 0, "now": now}),
            *self._told(who, "retried", event),
        )

    async def replay(self, who: Principal, name: str) -> Repaired:
        """Deliver an event again, also where it was delivered. Raises as `retry`."""
        event, now = await self._own_event(who, name), self._clock.now()
        again = Step("delivery.revive", {"event_seq": event["seq"], "ended": 1, "now": now})
        return await self._changed(who, again, *self._told(who, "replayed", event))

    async def cancel(self, who: Principal, asked: EventCancel) -> Repaired:
        """Deliver nothing more of an event.

        Raises as `event`, and Denied if it is not one's own, where it is to be `mine` or a key
        asks that speaks for a connection.
        """
        event = await self._own_event(who, asked.event, mine=asked.mine)
        cancel = Step("delivery.cancel", {"event_seq": event["seq"], "now": self._clock.now()})
        return await self._changed(who, cancel, *self._told(who, "cancelled", event))

    async def ack(self, who: Principal, asked: EventAck) -> Repaired:
        """Call done what waits of an event for a connection's tool ON_EVENTS.

        Raises as `event`, and Denied where a key asks that speaks for another connection.
        """
        view = self._directory.view
        connection = find_connection(view, who.org, asked.connection).id
        if who.connection not in {None, connection}:
            own = view.connections.get(who.connection or "")
            name = own.name if own is not None else "a connection that is gone"
            raise Denied(
                f"{who.name} speaks for {name} and ends nothing of another connection's",
                next=None if own is None else f"meshctl event ack {asked.event} --for {name}",
            )
        ids = [
            row.id
            for row in view.subscriptions.values()
            if row.org == who.org
            and row.kind == "connection"
            and row.target["connection"] == connection
        ]
        event = await self._event(who, asked.event)
        row = {
            "event_seq": event["seq"], "now": self._clock.now(), "subscriptions": json.dumps(ids),
        }  # fmt: skip
        acked = Step("delivery.ack", row)
        return await self._changed(who, acked, *self._told(who, "acked", event))

    async def dead_retry(self, who: Principal, asked: DeadChoice) -> Repaired:
        """Try again what was given up; of all, a key that speaks for a connection has its own.

        Raises BadRequest, NotFound, Conflict, and Denied where it is not such a key's own.
        """
        return await self._of_dead(
            who, asked, "retried", "delivery.revive_dead", "delivery.revive_all"
        )

    async def dead_drop(self, who: Principal, asked: DeadChoice) -> Repaired:
        """Forget what was given up. Raises as `dead_retry`."""
        return await self._of_dead(who, asked, "dropped", "delivery.drop_dead", "delivery.drop_all")

    async def stats(self, who: Principal) -> EventStats:
        """How the bus stands, for one org; `under_way` and `leases_lost` are of this daemon."""
        found, now = await self._counts.of(who.org), self._clock.now()
        waits = None if found.oldest is None else now - found.oldest
        mine = [one for one in self._directory.view.subscriptions.values() if one.org == who.org]
        return EventStats(
            states=found.states,
            oldest_waiting_s=None if waits is None or waits < 0 else waits / MICROSECONDS,
            counted_s_ago=max(now - found.at, 0) / MICROSECONDS,
            under_way=self._dispatcher.under_way,
            leases_lost=self._dispatcher.lost,
            subscriptions={
                state: sum(one.state == state for one in mine) for state in ("active", "paused")
            },
            held_back=[one.name for one in mine if self._dispatcher.is_held_back(one.id)],
        )

    async def _listed(
        self, who: Principal, stored: Row, named: str | None, seq: int | None, limit: int
    ) -> list[Delivery]:
        subscription, now = named, self._clock.now()
        if named is not None:
            subscription = find_subscription(self._directory.view, who.org, named).id
        asked = {**stored, "subscription": subscription, "limit": limit}
        db = self._db.org(who.org)
        if seq is not None:
            rows = await db.all("delivery.list_of", **asked, now=now, event_seq=seq)
        elif stored["state"] == "dead":
            del asked["state"], asked["later"]
            rows = await db.all("delivery.list_dead", **asked)
        else:
            del asked["limit"]
            rows = await self._newest.rows(db, limit, **asked, now=now)
        return [Delivery(**_columns(row, now)) for row in rows]

    async def _event(self, who: Principal, name: str, source: str | None = None) -> Row:
        """The row of one; of several with the id the one of this source. Raises as `event`."""
        rows = await self._db.org(who.org).all("event.find", event=name)
        own = [
            row for row in rows if name in {row["own_id"], row["id"] if not row["own_id"] else None}
        ]
        named = own or rows
        found = [row for row in named if row["source"] == source] or named
        if not found:
            raise NotFound("there is no such event", next="meshctl event list")
        if len(found) > 1:
            ours = " ".join(row["own_id"] or row["id"] for row in found)
            raise Conflict("events of several sources have this id", facts={"our ids": ours})
        return found[0]

    async def _own_event(self, who: Principal, name: str, *, mine: bool = False) -> Row:
        bound = mine or who.connection is not None
        event = await self._event(who, name, own_source(who) if bound else None)
        check_own_event(who, event["source"], mine=mine)
        return event

    async def _of_dead(
        self, who: Principal, asked: DeadChoice, kind: str, of_one: str, of_all: str
    ) -> Repaired:
        """Do what a query does to one delivery, or another to all."""
        if (asked.delivery is None) != asked.all:
            raise BadRequest("name one delivery, or say all")
        name, now = asked.delivery, self._clock.now()
        if name is None:
            changes = [
                Step(of_all, {"subscription": subscription, "now": now})
                for subscription in self._whose(who)
            ]
            return await self._changed(who, *changes, *self._told_of_dead(who, kind, None))
        row = await self._db.org(who.org).one("delivery.show", id=name)
        if row is None:
            raise _no_delivery(name)
        heard_by = self._directory.view.subscriptions.get(row["subscription_id"])
        if who.connection is not None and not (heard_by and is_own(who, heard_by.maker)):
            raise Denied(f"{who.name} did not make the subscription that this is for")
        told = () if is_about_deliveries(row["type"]) else self._told_of_dead(who, kind, name)
        try:
            return await self._changed(who, Step(of_one, {"id": name, "now": now}, expect=1), *told)
        except ExpectFailed:
            raise Conflict(f"it is {row['state']}, or its subscription is gone") from None

    def _whose(self, who: Principal) -> list[str | None]:
        """The subscriptions whose deliveries are meant by all of them; None for those of anyone."""
        if who.connection is None:
            return [None]
        mine = self._directory.view.subscriptions.values()
        return [row.id for row in mine if row.org == who.org and is_own(who, row.maker)]

    def _told(self, who: Principal, kind: str, event: Row) -> tuple[Step, ...]:
        """The trace of what somebody does about an event; of an event that is one itself, none.

        Nor of what a connection does with events of its own: that is no repair.
        """
        if who.connection is not None or is_about_deliveries(event["type"]):
            return ()
        about = {
            "event_id": event["id"], "event_type": event["type"], "event_source": event["source"],
        }  # fmt: skip
        subject = event["own_id"] or event["id"]
        return (self._events.step(who, f"event.{kind}", subject, about),)

    def _told_of_dead(self, who: Principal, kind: str, name: str | None) -> tuple[Step, ...]:
        if who.connection is not None:
            return ()
        return (self._events.step(who, f"delivery.{kind}", name or "all", {"delivery": name}),)

    async def _changed(self, who: Principal, *steps: Step) -> Repaired:
        rows = await self._db.org(who.org).write(*steps) if steps else []
        self._events.bell.ring()
        return Repaired(deliveries=[row["id"] for one in rows for row in one])


def _no_delivery(name: str) -> NotFound:
    return NotFound(
        f'there is no delivery "{ascii(name[:60])[1:-1]}"', next="meshctl delivery list"
    )


def _line(row: Row, counts: dict[str, int]) -> EventLine:
    return EventLine(
        id=row["id"], type=row["type"], source=row["source"], subject=row["subject"],
        time=row["said_time"] or iso(row["time"]), meshseq=row["seq"],
        meshid=row["own_id"] or row["id"], state=event_state(counts), deliveries=counts,
    )  # fmt: skip


def _columns(row: Row, now: int) -> Row:
    return {
        "id": row["id"], "event_id": row["event"], "state": shown_state(row, now),
        "event": row["event"], "type": row["type"],
        "source": row["source"], "subscription": row["subscription"],
        "subscription_id": row["subscription_id"], "attempt": row["attempt"],
        "replays": row["replays"], "error": row["error"],
        "next_at": iso_or_none(row["available_at"]), "created_at": iso(row["created_at"]),
        "ended_at": iso_or_none(row["ended_at"]),
    }  # fmt: skip


def _attempt(row: Row) -> Attempt:
    return Attempt(
        fence=row["fence"], attempt=row["attempt"], outcome=row["outcome"], status=row["status"],
        error=row["error"], started_at=iso(row["started_at"]),
        duration_ms=row["duration_us"] / 1000, daemon=row["daemon"],
    )  # fmt: skip

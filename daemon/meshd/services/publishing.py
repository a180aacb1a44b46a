"""Publishing: an event is answered for when it and its deliveries are on disk."""

import hmac
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from meshd.core.beside import one_by_one
from meshd.core.clock import Clock, instant, iso
from meshd.services.cloud_event import check_event, content_digest
from meshd.services.events import Events
from meshd.services.fan_out import FanOut, delivery
from meshd.services.intake import Arrived, Intake
from meshd.services.principal import Principal
from meshd.services.quota import Quota
from meshd.services.room import Room
from meshd.store.db import ExpectFailed, Row, Step
from meshd.wire.errors import Conflict, Denied, MeshError
from meshd.wire.event import EventPublish, Published
from meshd.wire.ids import new_timed_id


class Publishing:
    """Takes events of people and programs."""

    def __init__(
        self,
        intake: Intake,
        events: Events,
        fan_out: FanOut,
        quota: Quota,
        room: Room,
        clock: Clock,
    ) -> None:
        self._intake = intake
        self._room = room
        self._events = events
        self._fan_out = fan_out
        self._quota = quota
        self._clock = clock
        self.count = 0
        """Events published, but for those that were there already."""

    async def publish(self, who: Principal, asked: EventPublish) -> Published:
        """Publish as oneself.

        Raises:
            BadRequest, TooLarge: it is no CloudEvent that may be published, or not at that time.
            Denied: it names another source.
            Conflict: another event has its source and id.
            RateLimited: the org publishes too much.
            StorageFull: the disk is nearly full.
        """
        own = own_source(who)
        if asked.source not in {None, own}:
            raise Denied(
                f"{who.name} publishes as {own}",
                facts={"another source needs": "self/event.publish_as"},
                next=f"meshctl key edit {who.name} --allow self/event.publish_as"
                if who.kind == "key"
                else None,
            )
        return await self._publish(who, asked)

    async def publish_as(self, who: Principal, asked: EventPublish) -> Published:
        """Publish with any source. Raises as `publish`."""
        return await self._publish(who, asked)

    async def publish_batch(self, who: Principal, asked: Sequence[EventPublish]) -> list[Published]:
        """Publish all of some events, with whatever sources, or none; the answers in their order.

        Raises:
            As `publish`, with the index of the event in `facts`, where it is due to one.
        """
        for index, one in enumerate(asked):
            with at_index(index, one.id):
                check_event(one)
        if not asked:
            return []
        self._room.check()
        self._quota.take(who.org, len(asked))
        events = await one_by_one(lambda one: self._arrived(who, one), asked)
        try:
            before = await self._intake.store_all(who.org, events)
        except ExpectFailed:
            _find_clash(events, await self._intake.there(who.org, events))
            raise  # what was in the way is gone by now
        return [self._answer(one, row) for one, row in zip(events, before, strict=True)]

    async def send_test(self, who: Principal, subscription: str) -> Published:
        """An event for one subscription alone, whatever it hears."""
        asked = EventPublish(type="test", subject=subscription)
        return await self._publish(who, asked, only=subscription)

    def step(self, who: Principal, asked: EventPublish) -> Step:
        """The event of a principal, with its deliveries, for a unit of the caller's own.

        It was checked before, but for what `mesh` extensions it has.

        Raises:
            RateLimited: the org publishes too much.
        """
        self._room.check()
        self._quota.take(who.org)
        row = self._row(who, asked)
        deliveries = self._fan_out.deliveries(who.org, row)
        also = (Step("delivery.add", rows=deliveries),) if deliveries else ()
        return Step("event.publish", {**row, "told": None}, also=also)

    async def _publish(
        self, who: Principal, asked: EventPublish, *, only: str | None = None
    ) -> Published:
        check_event(asked)
        self._room.check()
        self._quota.take(who.org)
        one = self._arrived(who, asked, only=only)
        return self._answer(one, await self._intake.store(who.org, one.event, one.deliveries))

    def _arrived(self, who: Principal, asked: EventPublish, *, only: str | None = None) -> Arrived:
        row, at = self._row(who, asked), None
        if asked.deliver_at is not None:
            at = max(row["time"], instant(asked.deliver_at, row["time"], ahead=True))
        rows = (
            self._fan_out.deliveries(who.org, row, at)
            if only is None
            else [delivery(only, row, at=at)]
        )
        told = len(rows) if asked.id else None
        return Arrived({**row, "told": told}, rows)

    def _answer(self, one: Arrived, before: Row | None) -> Published:
        row = one.event
        if before is not None:
            return _again(before, row)
        self.count += 1
        if one.deliveries:
            self._events.bell.ring()
        else:
            self._events.bell.wake()
        return Published(
            id=row["id"], type=row["type"], source=row["source"],
            time=row["said_time"] or iso(row["time"]), deliveries=len(one.deliveries),
            duplicate=False,
        )  # fmt: skip

    def _row(self, who: Principal, asked: EventPublish) -> dict[str, Any]:
        now = self._clock.now()
        own = new_timed_id("evt", now)
        encoded = asked.data_base64 is not None
        return {
            "id": asked.id or own,
            "own_id": own if asked.id else None,
            "type": asked.type,
            "source": asked.source or own_source(who),
            "subject": asked.subject,
            "time": now,
            "said_time": asked.time,
            "content_type": asked.datacontenttype
            or ("application/octet-stream" if encoded else None),
            "data_schema": asked.dataschema,
            "extensions": msgspec.json.encode(asked.extensions).decode()
            if asked.extensions
            else None,
            "encoded": int(encoded),
            "data": asked.data_base64 if encoded else bytes(asked.data).decode(),
            "digest": content_digest(asked) if asked.id else None,  # nobody can repeat ours
        }


@contextmanager
def at_index(index: int, name: str | None) -> Iterator[None]:
    """Whatever error is raised inside is about the event of a batch that has this index and id."""
    try:
        yield
    except MeshError as error:
        error.facts |= {"index": str(index)} | ({} if name is None else {"id": name})
        raise


def _find_clash(events: Sequence[Arrived], there: dict[tuple[str, str], Mapping[str, Any]]) -> None:
    """Pass events that have names of their own, among each other and beside what is there.

    Raises:
        Conflict: one of them has not.
    """
    for index, one in enumerate(events):
        with at_index(index, one.event["id"]):
            _check_same(there.setdefault(one.name, one.event), one.event)


def _again(before: Row, row: Mapping[str, Any]) -> Published:
    """The answer for what is there already.

    Raises:
        Conflict: it is another event.
    """
    _check_same(before, row)
    return Published(
        id=before["id"], type=before["type"], source=before["source"],
        time=before["said_time"] or iso(before["time"]), deliveries=before["deliveries"],
        duplicate=True,
    )  # fmt: skip


def _check_same(before: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """Raises Conflict: they are two events."""
    if before is not row and not hmac.compare_digest(
        before["digest"] or b"", row["digest"] or b"none"
    ):
        raise Conflict(
            "another event has this source and id", next=f"meshctl event show {row['id']}"
        )


def own_source(who: Principal) -> str:
    """What stands as the source of what a principal publishes."""
    if who.connection is not None:
        return connection_source(who.connection)
    return f"/keys/{who.id}" if who.kind == "key" else f"/users/{who.owner}"


def own_connection(who: Principal) -> str:
    """The connection whose key asks.

    Raises:
        Denied: the key is nobody's own.
    """
    if who.connection is None:
        raise Denied(
            f"{who.name} is no connection's own key",
            next="meshctl add-key NAME --for CONNECTION --allow self/event.publish",
        )
    return who.connection


def connection_source(connection: str) -> str:
    """What stands as the source of what a connection publishes."""
    return f"/connections/{connection}"

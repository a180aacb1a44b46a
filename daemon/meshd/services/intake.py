"""Events on their way to the disk: those of an org that come at one time share a unit.

An event is answered for when its unit is written, and not before. What may be published is decided
elsewhere.
"""

import asyncio
import json
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from meshd.core.tasks import TaskGroup
from meshd.store.db import Row, Step, StoreError, StoreUnavailable
from meshd.store.scoped import ScopedDatabase

MOST = 512
"""Events in one unit at most."""
LINGER = 0.003
"""Seconds that a unit waits for as many events as were just answered, beside those that are there:
whoever publishes one after the other is just about to send the next, and would else wait for
another sync."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """An event as a row, and its deliveries as rows."""

    event: Mapping[str, Any]
    deliveries: Sequence[Mapping[str, Any]]

    @property
    def name(self) -> tuple[str, str]:
        """What no other event of the org has: the source and the id."""
        return _name(self.event)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Events that are stored together, and who waits for it.

    `strict`: none of them is stored where another event has the source and id of one.
    """

    events: Sequence[Arrived]
    strict: bool
    stored: "asyncio.Future[list[Row | None]]"


class _Waiting:
    """Batches of an org, and how many events they hold."""

    def __init__(self) -> None:
        self.batches: deque[_Batch] = deque()
        self.total = 0
        self._expected = 1
        self._enough = asyncio.Event()

    def add(self, batch: _Batch) -> None:
        """One more."""
        self.batches.append(batch)
        self.total += len(batch.events)
        if self.total >= self._expected:
            self._enough.set()

    async def gathered(self, expected: int) -> bool:
        """Wait until there are so many events, or for a moment; whether there are any."""
        self._expected = expected
        if self.total < expected:
            self._enough.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER):
                    await self._enough.wait()
        return bool(self.batches)

    def next_group(self) -> list[_Batch]:
        """As many as a unit takes, one at least."""
        group = [self.batches.popleft()]
        events = len(group[0].events)
        while self.batches and events + len(self.batches[0].events) <= MOST:
            group.append(self.batches.popleft())
            events += len(group[-1].events)
        self.total -= events
        return group


class Intake:
    """Stores events. While one unit of an org is written, the next one gathers."""

    def __init__(self, db: ScopedDatabase) -> None:
        self._db = db
        self._tasks = TaskGroup("intake")
        self._waiting: dict[str, _Waiting] = {}

    async def store(
        self, org: str, event: Mapping[str, Any], deliveries: Sequence[Mapping[str, Any]]
    ) -> Row | None:
        """Store an event with its deliveries; the row that was there before, if there was one.

        Raises:
            StoreUnavailable: it is not known to be stored.
        """
        return (await self._stored(org, [Arrived(event, deliveries)], strict=False))[0]

    async def store_all(self, org: str, events: Sequence[Arrived]) -> list[Row | None]:
        """Store all of some events, or none; for each the row that was there before.

        Raises:
            ExpectFailed: another event has the source and id of one; see `there`.
            StoreUnavailable: it is not known whether they are stored.
        """
        return await self._stored(org, events, strict=True)

    async def there(
        self, org: str, events: Sequence[Arrived]
    ) -> dict[tuple[str, str], Mapping[str, Any]]:
        """What is stored now under the names of some events."""
        rows = await self._db.org(org).all("event.published", ids=_ids(events))
        return {_name(row): row for row in rows}

    async def _stored(
        self, org: str, events: Sequence[Arrived], *, strict: bool
    ) -> list[Row | None]:
        batch = _Batch(events, strict, asyncio.get_running_loop().create_future())
        waiting = self._waiting.get(org)
        if waiting is None:
            waiting = self._waiting[org] = _Waiting()
            self._tasks.start(f"events of {org}", self._drain(org, waiting))
        waiting.add(batch)
        return await batch.stored

    async def stop(self) -> None:
        """Nothing more is stored; who still waits is told so."""
        await self._tasks.stop()
        for waiting in self._waiting.values():
            _fail(waiting.batches, StoreUnavailable("the daemon is stopping"))

    async def _drain(self, org: str, waiting: _Waiting) -> None:
        group: list[_Batch] = []
        expected = 1
        try:
            while await waiting.gathered(expected):
                group = waiting.next_group()
                await self._store(org, group)
                answered = sum(len(batch.events) for batch in group)
                expected = min(answered + waiting.total, MOST)
        finally:
            del self._waiting[org]
            _fail([*group, *waiting.batches], StoreUnavailable("the daemon is stopping"))

    async def _store(self, org: str, group: Sequence[_Batch]) -> None:
        try:
            before = await self._write(org, group)
        except StoreError as error:
            if len(group) > 1 and not isinstance(error, StoreUnavailable):
                for batch in group:  # the others are not to pay for it
                    await self._store(org, [batch])
            else:
                _fail(group, error)
        else:
            for batch in group:
                if not batch.stored.done():
                    batch.stored.set_result([_before(one, before) for one in batch.events])

    async def _write(self, org: str, group: Sequence[_Batch]) -> Mapping[tuple[str, str], Row]:
        """Store a group; what stands there now, of those whose id was chosen outside."""
        events = [one for batch in group for one in batch.events]
        steps = [Step("event.publish", rows=[one.event for one in events])]
        deliveries = [row for one in events for row in one.deliveries]
        if deliveries:
            steps.append(Step("delivery.add", rows=deliveries))
        named = [one for one in events if one.event["own_id"] is not None]
        if not named:
            await self._db.org(org).write(*steps)
            return {}
        if strict := [one for batch in group if batch.strict for one in batch.events]:
            steps.append(Step("event.clash", {"named": _digests(strict)}, expect=0))
        there = Step("event.published", {"ids": _ids(named)})
        rows = (await self._db.org(org).write(*steps, there))[-1]
        return {_name(row): row for row in rows}


def _name(event: Mapping[str, Any]) -> tuple[str, str]:
    return event["source"], event["id"]


def _before(one: Arrived, there: Mapping[tuple[str, str], Row]) -> Row | None:
    """What was there under an event's name, if that is not the event itself."""
    row = there.get(one.name)
    return None if row is None or row["own_id"] == one.event["own_id"] else row


def _ids(events: Sequence[Arrived]) -> str:
    return json.dumps(sorted({one.event["id"] for one in events}))


def _digests(events: Sequence[Arrived]) -> str:
    return json.dumps(
        [
            {"source": event["source"], "id": event["id"], "digest": event["digest"].hex()}
            for event in (one.event for one in events)
            if event["own_id"] is not None
        ]
    )


def _fail(group: Sequence[_Batch] | deque[_Batch], error: StoreError) -> None:
    for batch in group:
        if not batch.stored.done():
            batch.stored.set_exception(error)

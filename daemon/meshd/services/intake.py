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

MOST = 128
"""Events in one unit at most."""
LINGER = 0.003
"""Seconds that a unit waits for as many events as came last: whoever publishes one after the other
is just about to send the next, and would else wait for another sync."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """An event as a row, its deliveries as rows, and who waits for it to be stored."""

    event: Mapping[str, Any]
    deliveries: Sequence[Mapping[str, Any]]
    stored: "asyncio.Future[Row | None]"


class _Waiting(deque[Arrived]):
    """Events of an org; `more` is set when one comes."""

    def __init__(self) -> None:
        super().__init__()
        self.more = asyncio.Event()


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
        one = Arrived(event, deliveries, asyncio.get_running_loop().create_future())
        waiting = self._waiting.get(org)
        if waiting is None:
            waiting = self._waiting[org] = _Waiting()
            self._tasks.start(f"events of {org}", self._drain(org, waiting))
        waiting.append(one)
        waiting.more.set()
        return await one.stored

    async def stop(self) -> None:
        """Nothing more is stored; who still waits is told so."""
        await self._tasks.stop()
        for waiting in self._waiting.values():
            _fail(waiting, StoreUnavailable("the daemon is stopping"))

    async def _drain(self, org: str, waiting: _Waiting) -> None:
        group: list[Arrived] = []
        expected = 1
        try:
            while waiting:
                await _gathered(waiting, expected)
                expected = min(len(group) + len(waiting), MOST)
                group = [waiting.popleft() for _ in range(min(len(waiting), MOST))]
                await self._store(org, group)
        finally:
            del self._waiting[org]
            _fail([*group, *waiting], StoreUnavailable("the daemon is stopping"))

    async def _store(self, org: str, group: Sequence[Arrived]) -> None:
        try:
            before = await self._write(org, group)
        except StoreError as error:
            if len(group) > 1 and not isinstance(error, StoreUnavailable):
                for one in group:  # the others are not to pay for it
                    await self._store(org, [one])
            else:
                _fail(group, error)
        else:
            for one in group:
                row = before.get(_name(one.event))
                mine = row is None or row["own_id"] == one.event["own_id"]
                if not one.stored.done():
                    one.stored.set_result(None if mine else row)

    async def _write(self, org: str, group: Sequence[Arrived]) -> Mapping[tuple[str, str], Row]:
        """Store a group; what stands there now, of those whose id was chosen outside."""
        steps = [Step("event.publish", rows=[one.event for one in group])]
        deliveries = [row for one in group for row in one.deliveries]
        if deliveries:
            steps.append(Step("delivery.add", rows=deliveries))
        named = {one.event["id"] for one in group if one.event["own_id"] is not None}
        if not named:
            await self._db.org(org).write(*steps)
            return {}
        there = Step("event.published", {"ids": json.dumps(sorted(named))})
        rows = (await self._db.org(org).write(*steps, there))[-1]
        return {_name(row): row for row in rows}


async def _gathered(waiting: _Waiting, expected: int) -> None:
    """Until so many wait, or for a moment."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER):
            while len(waiting) < expected:
                waiting.more.clear()
                await waiting.more.wait()


def _name(event: Mapping[str, Any]) -> tuple[str, str]:
    return event["source"], event["id"]


def _fail(group: Sequence[Arrived] | deque[Arrived], error: StoreError) -> None:
    for one in group:
        if not one.stored.done():
            one.stored.set_exception(error)

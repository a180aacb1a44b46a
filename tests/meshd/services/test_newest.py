"""What a filter leaves of many is found in slices, and all of it."""

import asyncio
import random
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from meshd.services import newest
from meshd.store.db import Row
from meshd.wire.event import EventList
from meshd.wire.subscription import WebhookAdd
from tests.support.bus import Bus
from tests.support.floors import Floors, floors

HOOKS = 4
"""More than a slice holds: deliveries of an event are of one moment."""


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("dsn")) if request.param == "postgres" else ""


@pytest.fixture
async def house(url: str, tmp_path: Path) -> AsyncIterator[Floors]:
    async with floors(tmp_path, url) as opened:
        yield opened


@pytest.fixture
async def bus(house: Floors, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bus]:
    """Ten events, each for every hook."""
    monkeypatch.setattr(newest, "SLICE", 3)
    made = Bus.over(house)
    for number in range(HOOKS):
        hook = WebhookAdd(types=["t.*"], webhook="http://127.0.0.1:9/", name=f"s{number}")
        await made.subscriptions.add_webhook(house.owner, hook)
    chance = random.Random(7)
    for number in range(10):
        house.clock.advance(chance.choice((0, 1)))
        await made.publish(f"t.{chance.choice('ab')}", id=str(number))
    await house.directory.refresh()
    yield made
    for pool in (made.delivering._trusted, made.delivering._public):
        await pool.close()


@pytest.fixture
def asked(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What was asked of which filter."""
    run, asked = bus.house.db.all, []

    async def all_of(query: str, /, **params: Any) -> list[Row]:
        if query in {"event.list", "delivery.list"}:
            asked.append((query, params.get("type") or params.get("state")))
        return await run(query, **params)

    monkeypatch.setattr(bus.house.db, "all", all_of)
    return asked


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 9, 1000])
async def test_events_are_found_wherever_they_are(bus: Bus, limit: int) -> None:
    house = bus.house
    whole = await bus.deliveries.events(house.owner, EventList(limit=1000))
    assert [row.meshseq for row in whole] == sorted((row.meshseq for row in whole), reverse=True)
    for name in {row.type for row in whole} | {"rare"}:
        found = await bus.deliveries.events(house.owner, EventList(type=name, limit=limit))
        assert found == [row for row in whole if row.type == name][:limit]
    for name in {row.source for row in whole} | {"/rare"}:
        found = await bus.deliveries.events(house.owner, EventList(source=name, limit=limit))
        assert found == [row for row in whole if row.source == name][:limit]


@pytest.mark.parametrize("limit", [1, 3, 5, 39, 1000])
async def test_deliveries_are_found_wherever_they_are(bus: Bus, limit: int) -> None:
    """In one order, also of those that were made at the same moment."""
    whole = await bus.rows(limit=1000)
    assert len(whole) == 10 * HOOKS
    made = [(row.created_at, row.id) for row in whole]
    assert sorted(made, key=lambda one: one[1]) == sorted(set(made), key=lambda one: one[1])
    assert [at for at, _ in made] == sorted((at for at, _ in made), reverse=True)
    for name in ("s0", "s3"):
        wanted = [row for row in whole if row.subscription == name][:limit]
        assert await bus.rows(subscription=name, limit=limit) == wanted
        assert await bus.rows(subscription=name, state="ready", limit=limit) == wanted
    assert await bus.rows(state="done", limit=limit) == []


async def test_no_query_goes_through_all(bus: Bus, asked: list[tuple[str, Any]]) -> None:
    """And what is found at once is asked for once."""
    await bus.deliveries.events(bus.house.owner, EventList(limit=2))
    assert asked == [("event.list", None)]
    asked.clear()
    await bus.deliveries.events(bus.house.owner, EventList(type="rare"))
    assert len(asked) > 10 / newest.SLICE


async def test_long_ways_back_are_gone_one_after_the_other(
    bus: Bus, asked: list[tuple[str, Any]]
) -> None:
    """So that many of them hold up nobody but each other."""
    looked_for = ("done", "inflight", "cancelled")
    await asyncio.gather(*(bus.rows(state=state) for state in looked_for))
    states = [state for _, state in asked]
    for state in looked_for:
        states.remove(state)  # its first slice waits for nobody
    assert len(states) > 3
    assert sum(one != other for one, other in pairwise(states)) == 2

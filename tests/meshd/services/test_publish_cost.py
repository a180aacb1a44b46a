"""What a publish leaves out: syncs, pages of an index, scans, looks for deliveries of nobody."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from meshd.services import intake
from meshd.wire.subscription import WebhookAdd
from tests.support.bus import Bus
from tests.support.floors import Floors


@pytest.fixture
async def bus(house: Floors) -> AsyncIterator[Bus]:
    made = Bus.over(house)
    yield made
    await made.dispatcher.stop()


async def test_ids_of_events_and_deliveries_sort_as_they_came(bus: Bus) -> None:
    """So that rows of one moment share the pages of an index, and do not write one each."""
    await bus.subscriptions.add_webhook(
        bus.house.owner, WebhookAdd(types=["order.*"], webhook="http://127.0.0.1:9/", name="hook")
    )
    events = []
    for _ in range(40):
        events.append((await bus.publish("order.made")).id)
        bus.house.clock.advance(0.1)
    assert events == sorted(events)
    deliveries = [one.id for one in reversed(await bus.rows())]
    assert len(deliveries) == 40
    assert deliveries == sorted(deliveries)


async def test_who_publishes_for_nobody_makes_nobody_look_for_deliveries(bus: Bus) -> None:
    """Followers are woken all the same."""
    looks: list[int] = []
    bus.house.events.bell.on_ring(lambda: looks.append(1))
    rung = bus.house.events.bell.rung
    await bus.publish("order.made")
    assert (looks, bus.house.events.bell.rung) == ([], rung + 1)
    await bus.subscriptions.add_webhook(
        bus.house.owner, WebhookAdd(types=["order.*"], webhook="http://127.0.0.1:9/", name="hook")
    )
    looks.clear()
    await bus.publish("order.made")
    assert looks == [1]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("event.find", "events_by_own_id"),
        ("event.published", "events_by_id"),
        ("event.clash", "sqlite_autoindex_events_1"),
    ],
)
async def test_what_was_published_is_looked_up_by_its_name(
    house: Floors, query: str, index: str
) -> None:
    """However many events the org has."""
    asked = house.scoped._queries.query(query)
    (path,) = (path for path in house.folder.rglob("*.db") if _has_events(path))
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as link:
        values = dict.fromkeys(asked.params, "[]")
        plan = [str(row[3]) for row in link.execute(f"EXPLAIN QUERY PLAN {asked.sql}", values)]
    link.close()
    assert any(index in line for line in plan), plan
    assert not [line for line in plan if line.startswith("SCAN events")], plan


def _has_events(path: Path) -> bool:
    link = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    found = link.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone()
    link.close()
    return found is not None


async def test_whoever_publishes_one_after_the_other_shares_each_sync(
    house: Floors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit waits for those who were just answered, and for nobody who was not there before."""
    monkeypatch.setattr(intake, "LINGER", 60)
    taken = intake.Intake(house.scoped)
    org = house.owner.org

    async def publisher(name: int) -> None:
        for number in range(5):
            assert await taken.store(org, _row(f"{name}-{number}"), []) is None
            for _ in range(name):  # no two of them are as quick with the next one
                await asyncio.sleep(0)

    before = house.scoped._database.commits
    await asyncio.gather(*(publisher(one) for one in range(16)))
    assert house.scoped._database.commits - before == 5
    await taken.stop()


def _row(name: str) -> dict[str, object]:
    given = {"id": name, "own_id": None, "type": "order.made", "source": "/shop", "time": 0}
    others = ("subject", "said_time", "content_type", "data_schema", "extensions", "digest", "told")
    return {**dict.fromkeys(others), **given, "encoded": 0, "data": "null"}

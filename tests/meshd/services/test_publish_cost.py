"""What a publish leaves out: pages of an index, scans, looks at deliveries that nobody made."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

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

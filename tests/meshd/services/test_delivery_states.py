"""The states that scripts rely on: of deliveries, of events by their deliveries, and of age."""

import sqlite3
from collections.abc import AsyncIterator

import pytest

from meshd.bus.retry import Outcome
from meshd.services import sweeping
from meshd.services.delivery_states import STATES, event_state
from meshd.services.sweeping import DAY, Retention
from meshd.wire.delivery import DeadChoice, DeadList
from meshd.wire.event import EventCancel, EventLine, EventList
from meshd.wire.subscription import WebhookAdd
from tests.support.bus import Bus
from tests.support.floors import Floors
from tests.support.sweeping import sweeper

WEEK = 7 * 86_400


@pytest.fixture
async def bus(house: Floors) -> AsyncIterator[Bus]:
    """With one subscription, whose target says for each event what `says` holds."""
    made = Bus.over(house)
    asked = WebhookAdd(types=["order.*"], webhook="http://127.0.0.1:9/", name="s")
    await made.subscriptions.add_webhook(house.owner, asked)
    yield made
    await made.dispatcher.stop()
    for pool in (made.delivering._trusted, made.delivering._public):
        await pool.close()


def answering(bus: Bus, **says: Outcome) -> None:
    async def deliver(claims: list) -> list[Outcome]:
        return [says[claim.event["id"]] for claim in claims]

    bus.dispatcher._deliver = deliver


async def lines(bus: Bus) -> dict[str, EventLine]:
    listed = await bus.deliveries.events(bus.house.owner, EventList())
    return {line.id: line for line in listed if line.type.startswith(("order.", "lonely"))}


async def sweep(house: Floors) -> int:
    keep = Retention(events=60 * DAY, calls=DAY, waiting=7 * DAY)
    return await sweeper(house, keep).sweep()


@pytest.mark.parametrize(
    ("counts", "state"),
    [
        ({}, "done"),
        ({"done": 2, "cancelled": 1}, "done"),
        ({"cancelled": 1}, "cancelled"),
        ({"done": 1, "dead": 1, "expired": 1}, "dead"),
        ({"done": 1, "expired": 1}, "expired"),
        ({"dead": 1, "waiting": 1}, "waiting"),
        ({"waiting": 1, "ready": 1}, "ready"),
        ({"ready": 1, "inflight": 1}, "inflight"),
    ],
)
def test_the_state_of_an_event(counts: dict[str, int], state: str) -> None:
    assert event_state({**dict.fromkeys(STATES, 0), **counts}) == state


async def test_each_state_is_listed_and_counted(bus: Bus) -> None:
    """In the list of deliveries, by its filter, in its event's counts, and in the numbers."""
    answering(bus, done=Outcome("delivered"), dead=Outcome("hopeless"), again=Outcome("failed"))
    for name in ("done", "dead", "again"):
        await bus.publish("order.made", id=name)
    await bus.turn()
    await bus.publish("order.made", id="later", deliver_at="1h")
    await bus.publish("order.made", id="now")
    await bus.publish("order.made", id="gone")
    await bus.deliveries.cancel(bus.house.owner, EventCancel(event="gone"))
    await bus.publish("lonely", id="lonely")
    expected = {
        "done": "done", "dead": "dead", "again": "waiting", "later": "waiting", "now": "ready",
        "gone": "cancelled",
    }  # fmt: skip
    assert {row.event_id: row.state for row in await bus.rows()} == expected
    for state in STATES:
        wanted = {name for name, one in expected.items() if one == state}
        assert {row.event_id for row in await bus.rows(state=state)} == wanted, state
    shown = await lines(bus)
    assert {name: line.state for name, line in shown.items()} == {**expected, "lonely": "done"}
    assert shown["dead"].deliveries == {**dict.fromkeys(STATES, 0), "dead": 1}
    assert sum(shown["lonely"].deliveries.values()) == 0
    stats = await bus.deliveries.stats(bus.house.owner)
    numbers = {"done": 1, "dead": 1, "waiting": 2, "ready": 1, "cancelled": 1}
    assert stats.states == {**dict.fromkeys(STATES, 0), **numbers}


async def test_what_nobody_takes_expires_and_can_be_brought_back(bus: Bus) -> None:
    """Its age begins when it could be delivered: not when it was published, and anew if revived."""
    await bus.publish("order.made", id="old")
    await bus.publish("order.made", id="planned", deliver_at="6d")
    bus.house.clock.advance(WEEK)
    assert await sweep(bus.house) == 0, "no more than the time is not too old"
    bus.house.clock.advance(1)
    await bus.house.directory.refresh()
    assert await sweep(bus.house) == 1
    (row,) = await bus.deliveries.dead(bus.house.owner, DeadList())
    assert (row.event_id, row.state, row.next_at) == ("old", "expired", None)
    assert (await lines(bus))["old"].state == "expired"
    assert (await bus.deliveries.stats(bus.house.owner)).states["expired"] == 1
    await bus.deliveries.dead_retry(bus.house.owner, DeadChoice(delivery=row.id))
    assert await sweep(bus.house) == 0
    answering(bus, old=Outcome("hopeless"), planned=Outcome("delivered"))
    await bus.turn()
    assert {row.event_id: row.state for row in await bus.rows()} == {
        "old": "dead", "planned": "done",
    }  # fmt: skip


async def test_what_waits_for_a_paused_subscription_expires_in_batches(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a daemon was trying when it ended goes too; what is being tried does not."""
    monkeypatch.setattr(sweeping, "PAUSE", 0)
    for number in range(600):
        await bus.publish("order.made", id=str(number))
    row = next(iter(bus.house.directory.view.subscriptions.values()))
    now = bus.house.clock.now()
    claims = await bus.dispatcher._queue.claim(row.org, {row.id: 2})
    await bus.subscriptions.stop(row.id, "it is paused")
    bus.house.clock.advance(WEEK + 60)
    await bus.dispatcher._queue.extend(claims[:1])
    assert bus.house.clock.now() > now
    assert await sweep(bus.house) == 599
    (left,) = await bus.rows(state="inflight")
    assert left.id == claims[0].id


@pytest.mark.parametrize(
    ("base", "query", "index"),
    [
        ("main", "event.sweep", "events_by_age"),
        ("main", "delivery.overdue", "deliveries_by_age"),
        ("calls", "call.sweep", "calls_by_age"),
    ],
)
async def test_looking_for_what_is_too_old_reads_no_more_than_that(
    house: Floors, base: str, query: str, index: str
) -> None:
    """Every minute: it goes by age through an index, without a scan or a sort."""
    db = house.scoped if base == "main" else house.scoped_calls
    asked = db._queries.query(query)
    schema = sqlite3.connect(":memory:")
    try:
        for path in house.folder.rglob("*.db"):
            source = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            made = source.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
            text = [row[0] for row in made if "sqlite_" not in row[0]]
            source.close()
            if any(index in one for one in text):
                for one in text:
                    schema.execute(one)
        plan = [
            str(row[3])
            for row in schema.execute(
                f"EXPLAIN QUERY PLAN {asked.sql}", dict.fromkeys(asked.params, 1)
            )
        ]
    finally:
        schema.close()
    assert any(index in line for line in plan), plan
    assert not [line for line in plan if line.startswith("SCAN") or "B-TREE" in line], plan

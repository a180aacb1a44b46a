"""How many deliveries are in each state, and what it costs to ask."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meshd.bus.queue import Claim
from meshd.bus.retry import Outcome
from meshd.services.delivery_counts import QUICK, REST
from meshd.services.delivery_states import STATES
from meshd.store.db import Row
from meshd.wire.delivery import DeadChoice
from meshd.wire.event import EventCancel
from meshd.wire.subscription import WebhookAdd
from tests.support.bus import Bus
from tests.support.floors import Floors, floors

OUTCOMES = {"good": Outcome("delivered"), "bad": Outcome("hopeless", "no")}


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("dsn")) if request.param == "postgres" else ""


@pytest.fixture
async def house(url: str, tmp_path: Path) -> AsyncIterator[Floors]:
    async with floors(tmp_path, url) as opened:
        yield opened


@pytest.fixture
async def bus(house: Floors) -> AsyncIterator[Bus]:
    """Whose deliveries end as the type of their event says."""
    made = Bus.over(house)

    async def deliver(claims: Sequence[Claim]) -> list[Outcome]:
        return [OUTCOMES[claim.event["type"].partition(".")[0]] for claim in claims]

    made.dispatcher._deliver = deliver
    for number in range(2):
        hook = WebhookAdd(
            types=["good.*", "bad.*"], webhook="http://127.0.0.1:9/", name=f"s{number}"
        )
        await made.subscriptions.add_webhook(house.owner, hook)
    yield made
    for pool in (made.delivering._trusted, made.delivering._public):
        await pool.close()


async def test_every_state_is_counted_as_the_list_shows_it(bus: Bus) -> None:
    """And of one org alone."""
    house, deliveries = bus.house, bus.deliveries
    for number in range(5):
        await bus.publish("good.one", id=f"good-{number}")
    for number in range(3):
        await bus.publish("bad.one", id=f"bad-{number}")
    await bus.publish("good.later", deliver_at="1h")
    await bus.turn()
    first, *_ = [row for row in await bus.rows() if row.state == "dead"]
    await deliveries.dead_drop(house.owner, DeadChoice(delivery=first.id))
    await bus.publish("good.two", id="two")
    await deliveries.cancel(house.owner, EventCancel(event="two"))
    await bus.publish("good.three")
    house.clock.advance(0.25)
    stats = await deliveries.stats(house.owner)
    listed = Counter(row.state for row in await bus.rows(limit=1000))
    assert stats.states == {state: listed[state] for state in STATES}
    assert listed == {"done": 10, "dead": 5, "cancelled": 3, "waiting": 2, "ready": 2}
    assert stats.oldest_waiting_s == 0.25
    other = await deliveries.stats(replace(house.owner, org="org_other"))
    assert set(other.states.values()) == {0}
    assert other.oldest_waiting_s is None


async def test_what_takes_long_is_counted_once_for_many_and_then_rests(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, asked, took = bus.house, Counter[str](), 0.0
    run = house.db.all

    async def slow(query: str, /, **params: Any) -> list[Row]:
        asked[query] += 1
        house.clock.advance(took if query == "delivery.counts" else 0)
        return await run(query, **params)

    monkeypatch.setattr(house.db, "all", slow)

    async def counted() -> int:
        asked.clear()
        both = await asyncio.gather(*(bus.deliveries.stats(house.owner) for _ in range(2)))
        assert both[0].states == both[1].states
        return both[0].states["ready"]

    await bus.publish("good.one")
    assert (await counted(), asked["delivery.counts"]) == (2, 2), "nothing is kept for nothing"
    took = 4 * QUICK
    assert (await counted(), asked["delivery.counts"]) == (2, 1)
    await bus.publish("good.two")
    house.clock.advance(REST * took - 0.01)
    assert (await counted(), asked["delivery.counts"]) == (2, 0)
    ago = (await bus.deliveries.stats(house.owner)).counted_s_ago
    assert ago == pytest.approx((REST + 1) * took, abs=0.1)
    house.clock.advance(0.02)
    assert (await counted(), asked["delivery.counts"]) == (4, 1)

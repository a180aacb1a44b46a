"""Daemons whose clocks differ: on one server the server's time says when a lease ends."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from meshd.bus.queue import LEASE, Queue
from meshd.core.clock import MICROSECONDS
from meshd.store.shared_clock import SharedClock
from meshd.wire.subscription import WebhookAdd
from tests.support.bus import Bus
from tests.support.clock import FakeClock
from tests.support.floors import floors

AHEAD = 120.0
"""Seconds that one clock is ahead of the other: more than a lease."""


@pytest.fixture
async def bus(dsn: str, tmp_path: Path) -> AsyncIterator[Bus]:
    """With one event that waits for one subscription, published by the server's time."""
    async with floors(tmp_path, dsn) as house:
        shared = SharedClock(house.scoped, house.clock)
        await shared.look()
        house.clock.micros = shared.now()
        made = Bus.over(house)
        asked = WebhookAdd(types=["*.made"], webhook="https://hooks.example/in", name="hook")
        await made.subscriptions.add_webhook(house.owner, asked)
        await made.publish("order.made")
        yield made


def queue(bus: Bus, ahead: float) -> tuple[Queue, SharedClock, FakeClock]:
    """That of a daemon whose own clock is so far ahead."""
    own = FakeClock(bus.house.clock.micros + round(ahead * MICROSECONDS), seconds=ahead)
    shared = SharedClock(bus.house.scoped, own)
    return Queue(bus.house.scoped, shared, f"run_{ahead}", look=shared.look), shared, own


@pytest.mark.parametrize(("first", "then"), [(0.0, AHEAD), (AHEAD, 0.0), (0.0, -AHEAD)])
async def test_a_claim_is_nobody_elses_whatever_their_clocks_say(
    bus: Bus, first: float, then: float
) -> None:
    (one, of_one, _), (other, of_other, later) = queue(bus, first), queue(bus, then)
    org, wanted = bus.house.owner.org, {bus.subscriptions.show(bus.house.owner, "hook").id: 5}
    due = await one.due()
    assert [at <= of_one.now() for at in due.values()] == [True]
    (claim,) = await one.claim(org, wanted)
    assert [at > of_other.now() for at in (await other.due()).values()] == [True]
    assert await other.claim(org, wanted) == []
    later.advance(LEASE / MICROSECONDS + 1)  # as if the server's time had gone on as long
    (again,) = await other.claim(org, wanted)
    assert (again.id, again.fence) == (claim.id, 2)


async def test_between_two_looks_time_goes_on_and_no_set_clock_moves_it(bus: Bus) -> None:
    _, shared, own = queue(bus, 0.0)
    await shared.look()
    before = shared.now()
    own.micros += 3600 * MICROSECONDS
    assert shared.now() == before
    own.advance(5)
    assert shared.now() == before + 5 * MICROSECONDS


async def test_a_file_keeps_the_time_of_its_daemon(tmp_path: Path) -> None:
    async with floors(tmp_path) as house:
        shared = SharedClock(house.scoped, house.clock)
        await shared.look()
        assert shared.now() == house.clock.now()
        house.clock.advance(1)
        assert shared.now() == house.clock.now()

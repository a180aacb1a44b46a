"""A target that is down for an hour, hints that never come, a stop in the middle, many dead rows."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from meshd.bus import dispatcher as bus_dispatcher
from meshd.bus.dispatcher import OF_A_SUBSCRIPTION, POLL
from meshd.bus.queue import Claim
from meshd.bus.retry import Outcome
from meshd.core.clock import MICROSECONDS
from meshd.wire.delivery import DeadChoice
from meshd.wire.subscription import WebhookAdd
from tests.support.bus import Bus
from tests.support.floors import Floors

EVENTS = 120


class Target:
    """Receives every delivery of a bus; `says` is what becomes of the next ones."""

    def __init__(self, bus: Bus) -> None:
        self.says = Outcome("delivered")
        self.tried: list[Claim] = []
        self.together = self.most = 0
        self.open = asyncio.Event()
        self.open.set()
        bus.dispatcher._deliver = self

    async def __call__(self, claims: Sequence[Claim]) -> Sequence[Outcome]:
        self.tried += claims
        self.together += len(claims)
        self.most = max(self.most, self.together)
        try:
            await self.open.wait()
        finally:
            self.together -= len(claims)
        return [self.says] * len(claims)

    def heard(self) -> Counter[str]:
        """How often each event was tried."""
        return Counter(claim.event["id"] for claim in self.tried)


@pytest.fixture
async def bus(house: Floors) -> AsyncIterator[Bus]:
    made = Bus.over(house)
    yield made
    await made.dispatcher.stop()
    for pool in (made.delivering._trusted, made.delivering._public):
        await pool.close()


async def hook(bus: Bus, name: str, kind: str) -> None:
    asked = WebhookAdd(types=[kind], webhook="http://127.0.0.1:9/", name=name)
    await bus.subscriptions.add_webhook(bus.house.owner, asked)


async def test_an_hour_of_a_target_that_is_down(bus: Bus) -> None:
    """Nothing is dead after it, all of it arrives, and never more at once than is allowed."""
    target = Target(bus)
    await hook(bus, "down", "a")
    for number in range(EVENTS):
        await bus.publish("a", id=str(number))
    target.says = Outcome("failed", "down")
    for _ in range(120):
        await bus.turn()
        bus.house.clock.advance(30)
    assert {row.state for row in await bus.rows(limit=1000)} == {"ready"}
    held = max(row.attempt for row in await bus.rows(limit=1000))
    assert held < bus_dispatcher.ATTEMPTS, "what is held back uses up no attempts"
    target.says = Outcome("delivered")
    target.tried.clear()
    for _ in range(20):
        bus.house.clock.advance(30)
        for _ in range(EVENTS // OF_A_SUBSCRIPTION):
            await bus.turn()
        if not (await bus.dispatcher._queue.due()):
            break
    assert {row.state for row in await bus.rows(limit=1000)} == {"done"}
    assert target.heard() == dict.fromkeys(map(str, range(EVENTS)), 1)
    assert target.most <= OF_A_SUBSCRIPTION


async def test_one_that_is_down_does_not_keep_another_waiting(bus: Bus) -> None:
    """With its own places taken, another's event goes in the same turn."""
    target = Target(bus)
    await hook(bus, "down", "a")
    await hook(bus, "up", "b")
    for number in range(EVENTS):
        await bus.publish("a", id=f"a-{number}")
    await bus.publish("b", id="b")
    await bus.house.directory.refresh()
    target.open.clear()
    await bus.dispatcher.pump()
    while target.together < OF_A_SUBSCRIPTION + 1:
        await asyncio.sleep(0)
    assert target.heard()["b"] == 1
    target.open.set()


async def test_a_hint_that_never_comes_costs_a_poll(bus: Bus) -> None:
    """Nobody wakes the loop; it looks by itself."""
    target = Target(bus)
    await hook(bus, "s", "a")
    await bus.house.directory.refresh()
    bus.dispatcher.start()
    bus.dispatcher.wake = lambda: None  # type: ignore[method-assign]
    await bus.publish("a", id="1")
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(60):
        while not target.tried:
            await asyncio.sleep(0.01)
    assert loop.time() - began < POLL + 10, "a machine may stall; a lost hint waits for ever"


async def test_what_a_stop_cuts_off_goes_back_at_once(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its attempt does not count, nobody waits for its lease, and nothing new is begun."""
    monkeypatch.setattr(bus_dispatcher, "DRAIN", 0.0)
    ending = Bus.over(bus.house, owner="run_ending")
    target = Target(ending)
    await hook(bus, "s", "a")
    for number in range(EVENTS):
        await bus.publish("a", id=str(number))
    await bus.house.directory.refresh()
    target.open.clear()
    await ending.dispatcher.pump()
    while target.together < OF_A_SUBSCRIPTION:
        await asyncio.sleep(0)
    await ending.dispatcher.stop()
    for pool in (ending.delivering._trusted, ending.delivering._public):
        await pool.close()
    assert len(target.tried) == OF_A_SUBSCRIPTION
    assert {(row.state, row.attempt) for row in await bus.rows(limit=1000)} == {("ready", 0)}
    (due,) = (await bus.dispatcher._queue.due()).values()
    assert due <= bus.house.clock.now()
    again = Target(bus)
    await bus.turn()
    assert {claim.attempt for claim in again.tried} == {1}


async def test_what_is_just_claimed_at_a_stop_has_its_time_too(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim that is written and not yet known of would else wait for its lease to run out."""
    ending = Bus.over(bus.house, owner="run_ending")
    Target(ending)
    await hook(bus, "s", "a")
    await bus.publish("a", id="1")
    await bus.house.directory.refresh()
    queue, written, known = ending.dispatcher._queue, asyncio.Event(), asyncio.Event()
    claim = queue.claim

    async def slowly(org: str, wanted: Mapping[str, int]) -> list[Claim]:
        claims = await claim(org, wanted)
        written.set()
        await known.wait()
        return claims

    monkeypatch.setattr(queue, "claim", slowly)
    ending.dispatcher.start()
    async with asyncio.timeout(60):
        await written.wait()
        stopping = asyncio.create_task(ending.dispatcher.stop())
        for _ in range(10):
            await asyncio.sleep(0)
        known.set()
        await stopping
    for pool in (ending.delivering._trusted, ending.delivering._public):
        await pool.close()
    assert [(row.state, row.attempt) for row in await bus.rows()] == [("done", 1)]


async def test_a_clock_that_is_set_forward_has_nothing_tried_twice_at_once(bus: Bus) -> None:
    """Nor has the one that a laptop wakes up to; once it ended it is tried again as ever."""
    target = Target(bus)
    await hook(bus, "s", "a")
    await bus.publish("a", id="1")
    await bus.house.directory.refresh()
    target.open.clear()
    await bus.dispatcher.pump()
    while not target.together:
        await asyncio.sleep(0)
    bus.house.clock.micros += 3600 * MICROSECONDS
    await bus.dispatcher.pump()
    for _ in range(10):
        await asyncio.sleep(0)
    assert bus.dispatcher.under_way == 1
    target.open.set()
    await bus.turn()
    assert [(row.state, row.attempt) for row in await bus.rows()] == [("done", 1)]
    assert bus.dispatcher.lost == 0


async def test_many_dead_ones_are_replayed_once(bus: Bus) -> None:
    """The same events in the same rows; of what is not dead any more a replay changes nothing."""
    target = Target(bus)
    await hook(bus, "s", "a")
    target.says = Outcome("hopeless", "no")
    for number in range(EVENTS):
        await bus.publish("a", id=str(number))
    await _until_nothing_waits(bus)
    dead = {row.id for row in await bus.rows(state="dead", limit=1000)}
    assert len(dead) == EVENTS
    target.says = Outcome("delivered")
    target.tried.clear()
    replayed = await bus.deliveries.dead_retry(bus.house.owner, DeadChoice(all=True))
    again = await bus.deliveries.dead_retry(bus.house.owner, DeadChoice(all=True))
    assert (set(replayed.deliveries), again.deliveries) == (dead, [])
    await _until_nothing_waits(bus)
    assert target.heard() == dict.fromkeys(map(str, range(EVENTS)), 1)
    rows = await bus.rows(limit=1000)
    assert {(row.state, row.replays) for row in rows} == {("done", 1)}
    assert {row.id for row in rows} == dead


async def _until_nothing_waits(bus: Bus) -> None:
    while await bus.dispatcher._queue.due():
        await bus.turn()

"""Two daemons, crashes, pauses and a clock of their own: each slot fires as its policy says, once.

Everything is drawn from a seed. Both daemons run at once, and which of them does its next step in
the database is drawn too. What must come out is worked out by arithmetic, not by the code.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from meshd.bus.slots import GRACE
from meshd.services.firing import Firing
from meshd.store.db import StoreUnavailable
from meshd.wire.schedule import ScheduleRemove
from tests.support.bus import Bus
from tests.support.floors import Floors, floors
from tests.support.schedules import Timetable

SECOND = 1_000_000
PERIODS = {"*/20 * * * * *": 20, "* * * * *": 60, "*/5 * * * *": 300}
SEEDS, STEPS = 220, 6


@dataclass
class Turns:
    """Lets one of several do its next step, whichever the seed says; each waits for its turn."""

    rng: random.Random
    waiting: list[asyncio.Event] = field(default_factory=list)
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def mine(self) -> None:
        turn = asyncio.Event()
        self.waiting.append(turn)
        self.moved.set()
        await turn.wait()

    async def play(self, *works: Awaitable[float]) -> None:
        """Run them to their ends, one step at a time; some end by a crash."""
        tasks = [asyncio.ensure_future(work) for work in works]
        for task in tasks:
            task.add_done_callback(lambda _: self.moved.set())
        while running := sum(not task.done() for task in tasks):
            if len(self.waiting) < running:
                self.moved.clear()
                await self.moved.wait()
            else:
                self.waiting.pop(self.rng.randrange(len(self.waiting))).set()
                self.moved.clear()
                await self.moved.wait()
        await asyncio.gather(*tasks, return_exceptions=True)


class Flaky:
    """A database that a daemon's crash may keep from answering, before a write or after it."""

    def __init__(self, real: Any, turns: Turns, risk: float) -> None:
        self._real, self._turns, self._risk = real, turns, risk

    def org(self, org: str) -> "Flaky":
        return Flaky(self._real.org(org), self._turns, self._risk)

    async def one(self, *asked: Any, **params: Any) -> Any:
        return await self._do(self._real.one, *asked, **params)

    async def all(self, *asked: Any, **params: Any) -> Any:
        return await self._do(self._real.all, *asked, **params)

    async def write(self, *steps: Any) -> Any:
        return await self._do(self._real.write, *steps)

    async def _do(self, verb: Callable[..., Awaitable[Any]], *asked: Any, **params: Any) -> Any:
        await self._turns.mine()
        fate = self._turns.rng.random()
        if fate < self._risk / 2:
            raise StoreUnavailable("killed before")
        answer = await verb(*asked, **params)
        if fate < self._risk:
            raise StoreUnavailable("killed after")
        return answer


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    async with floors(tmp_path) as house:
        await _without_syncs(house)
        made = Bus.over(house, rate=1_000_000)
        yield made
        for pool in (made.delivering._trusted, made.delivering._public):
            await pool.close()


async def _without_syncs(house: Floors) -> None:
    """No power fails here, and syncs take their time."""
    writer = house.db._writer  # type: ignore[attr-defined]
    await writer.submit(
        lambda c: (c.execute("COMMIT"), c.execute("PRAGMA synchronous = OFF"), c.execute("BEGIN"))
    )


async def simulate(bus: Bus, seed: int) -> None:
    rng = random.Random(seed)
    house, turns = bus.house, Turns(rng)
    misfire, cron = rng.choice(["skip", "once", "all"]), rng.choice(list(PERIODS))
    await _pass(house, rng.randrange(600))
    calm = Timetable.over(bus)
    made = await calm.add(cron, f"s{seed}", misfire=misfire)
    risk = rng.choice([0.0, 0.1, 0.3])
    two = [Timetable.over(bus, Flaky(house.scoped, turns, risk)).firing for _ in range(2)]
    since, looked, rested = house.clock.now(), [], []
    for _ in range(STEPS):
        await _pass(house, rng.uniform(0, rng.choice([5, 20, 60, 90, 400])))
        if rng.random() < 0.5:
            await turns.play(*(one.fire_due() for one in rng.sample(two, rng.choice([1, 2]))))
        if rng.random() < 0.5:
            await _settle(calm.firing)
            looked.append(house.clock.now())
            if rng.random() < 0.3:
                begun = house.clock.now()
                await calm.schedules.pause(house.owner, made.id)
                await _pass(house, rng.uniform(0, 300))
                await calm.schedules.resume(house.owner, made.id)
                rested.append((begun, house.clock.now()))
    await _settle(calm.firing)
    looked.append(house.clock.now())
    await _check(house, made.id, cron, misfire, since, looked, rested)


async def _pass(house: Floors, seconds: float) -> None:
    house.clock.advance(seconds)
    await house.directory.refresh()


async def _settle(firing: Firing) -> None:
    """Until nothing is due."""
    while await firing.fire_due() == 0:
        pass


async def _check(
    house: Floors, made: str, cron: str, misfire: str, since: int, looked: list[int],
    rested: list[tuple[int, int]],
) -> None:  # fmt: skip
    db, period = house.scoped.org(house.owner.org), PERIODS[cron] * SECOND
    (schedule,) = [one for one in await db.all("schedule.all", limit=1000) if one["id"] == made]
    fires = sorted(await db.all("schedule.fires", id=made, limit=10_000), key=lambda f: f["slot"])
    events = await db.all(
        "event.list", type="tick", source=None, since=0, before=2**62, limit=10_000
    )
    first = -(-(since + 1) // period) * period
    all_slots = set(range(first, schedule["next_at"], period))
    for begun, until in rested:  # what came while it rested is nobody's
        all_slots -= set(range(-(-(begun + 1) // period) * period, until + 1, period))
    fired = {one["slot"]: one for one in fires if one["outcome"] == "fired"}
    assert len({one["event"] for one in fired.values()}) == len(fired)
    ids = {event["id"] for event in events}
    assert {one["event"] for one in fired.values()} <= ids, "each was stored with its slot"
    assert len(ids & {one["event"] for one in fired.values()}) == len(fired)
    assert fired.keys() <= all_slots
    passed = sum(one["missed"] + (one["outcome"] == "missed") for one in fires)
    assert len(fired) + passed == len(all_slots), "each slot is told of once"
    if misfire == "all":
        assert fired.keys() == all_slots
    if misfire == "skip":
        assert all(one["at"] - one["slot"] <= GRACE for one in fired.values())
    for slot in all_slots - fired.keys():
        in_time = [at for at in looked if slot <= at <= slot + GRACE]
        assert not in_time, "somebody was there in time, and it did not fire"


async def test_each_slot_is_decided_on_once(bus: Bus) -> None:
    for seed in range(SEEDS):
        try:
            await simulate(bus, seed)
        except AssertionError as wrong:
            wrong.add_note(f"seed {seed}")
            raise
        await Timetable.over(bus).schedules.remove(
            bus.house.owner, ScheduleRemove(schedule=f"s{seed}")
        )
        await _forget(bus)


async def _forget(bus: Bus) -> None:
    """The next seed's events are its own."""
    await bus.house.raw("DELETE FROM events")

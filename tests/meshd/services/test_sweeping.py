"""Housekeeping: what is older than its retention goes, in batches, and nothing else."""

import pytest

from meshd.services import sweeping
from meshd.services.record_rows import Stopwatch
from meshd.services.sweeping import Retention, Sweeper
from meshd.wire.call import RecordList
from meshd.wire.connection import ConnectionAdd
from tests.support.floors import Floors
from tests.support.sweeping import sweeper as sweeper_over

DAY = 86400 * 1_000_000
KEEP_EVENTS, KEEP_CALLS = 7 * DAY, 30 * DAY


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "PAUSE", 0)


async def fill(house: Floors, moment: int, count: int) -> None:
    """So many events and call records of one moment."""
    made = house.directory.view.by_name[house.owner.org, "a"]
    now, house.clock.micros = house.clock.micros, moment
    await house.db.write(
        *(
            house.events.step(house.owner, "key.rotated", str(n), {"name": "x"})
            for n in range(count)
        )
    )
    for _ in range(count):
        house.records.take(
            made, house.owner, "t", Stopwatch(moment, 0.0), arguments=b"", response=None
        )
    await house.records.flush()
    house.clock.micros = now


async def left(house: Floors) -> tuple[int, int]:
    events = [kind for kind in await house.kinds() if kind == "key.rotated"]
    return len(events), len(await house.records.all(house.owner, RecordList(limit=1000)))


def sweeper(house: Floors, events: int = KEEP_EVENTS) -> Sweeper:
    return sweeper_over(house, Retention(events, KEEP_CALLS, 7 * DAY))


async def test_only_what_is_too_old_goes(house: Floors) -> None:
    await house.connections.add(house.owner, ConnectionAdd(name="a", url="http://127.0.0.1:1/"))
    now = house.clock.now()
    await fill(house, now - KEEP_CALLS - 1, 2)
    await fill(house, now - KEEP_CALLS, 3)
    await fill(house, now - KEEP_EVENTS - 1, 5)
    await fill(house, now - KEEP_EVENTS, 7)
    await fill(house, now, 1)
    gone = await sweeper(house).sweep()
    assert await left(house) == (8, 16)
    assert gone == 10 + 2
    assert await sweeper(house).sweep() == 0


async def test_more_than_a_batch(house: Floors) -> None:
    await house.connections.add(house.owner, ConnectionAdd(name="a", url="http://127.0.0.1:1/"))
    await fill(house, 1, 900)
    assert await sweeper(house).sweep() == 1800
    assert await left(house) == (0, 0)

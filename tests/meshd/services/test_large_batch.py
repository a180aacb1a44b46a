"""A batch of events with many deliveries is made ready in slices of the event loop's time."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from meshd.core import beside
from meshd.wire.event import EventPublish
from meshd.wire.subscription import WebhookAdd
from tests.support.bus import Bus
from tests.support.floors import Floors, floors

EVENTS, HOOKS = 20, 3


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("dsn")) if request.param == "postgres" else ""


@pytest.fixture
async def house(url: str, tmp_path: Path) -> AsyncIterator[Floors]:
    async with floors(tmp_path, url) as opened:
        yield opened


async def test_the_loop_has_its_turns(house: Floors, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is found out who hears each event, and while the rows are made ready to be written.

    Every step is taken to be long here.
    """
    monkeypatch.setattr(beside, "BREATH", -1.0)
    bus, turns, marks = Bus.over(house), 0, list[int]()
    for number in range(HOOKS):
        hook = WebhookAdd(types=["t"], webhook="http://127.0.0.1:9/", name=f"s{number}")
        await bus.subscriptions.add_webhook(house.owner, hook)
    await house.directory.refresh()

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def mark(where: Any, name: str) -> None:
        run = getattr(where, name)

        async def marked(*given: Any) -> Any:
            marks.append(turns)
            return await run(*given)

        monkeypatch.setattr(where, name, marked)

    mark(bus.publishing._intake, "store_all")
    mark(house.db, "write")
    mark(
        *(
            (house.db, "_transact")
            if house.db.dialect == "postgres"
            else (house.db._writer, "submit")
        )
    )
    task = asyncio.create_task(turn())
    await asyncio.sleep(0)
    begun = turns
    asked = [EventPublish(type="t", data=Raw(b"1")) for _ in range(EVENTS)]
    published = await bus.publishing.publish_batch(house.owner, asked)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    for pool in (bus.delivering._trusted, bus.delivering._public):
        await pool.close()
    assert [one.deliveries for one in published] == [HOOKS] * EVENTS
    heard, scoped, bound = marks
    assert heard - begun >= EVENTS
    assert scoped - heard >= EVENTS * (1 + HOOKS)
    assert bound - scoped >= EVENTS * (1 + HOOKS)

"""Claims on real databases: whoever races, a claim is somebody's alone."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from meshd.bus.queue import Ended, Queue
from meshd.bus.retry import Next, Outcome
from meshd.store.db import StoreUnavailable
from meshd.wire.event import EventCancel
from meshd.wire.subscription import WebhookAdd
from tests.support.bus import Bus
from tests.support.floors import floors

EVENTS = 60


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """Where the data is: each database in turn."""
    return str(request.getfixturevalue("dsn")) if request.param == "postgres" else ""


@pytest.fixture
async def bus(url: str, tmp_path: Path) -> AsyncIterator[Bus]:
    """With one subscription for which events wait."""
    async with floors(tmp_path, url) as house:
        made = Bus.over(house)
        asked = WebhookAdd(types=["*.made"], webhook="https://hooks.example/in", name="hook")
        await made.subscriptions.add_webhook(house.owner, asked)
        for n in range(EVENTS):
            await made.publish("order.made", id=str(n))
        yield made


def subscription(bus: Bus) -> str:
    return bus.subscriptions.show(bus.house.owner, "hook").id


async def test_queues_that_race_share_what_waits(bus: Bus) -> None:
    queues = [Queue(bus.house.scoped, bus.house.clock, f"run_{n}") for n in range(4)]
    org, wanted = bus.house.owner.org, {subscription(bus): 5}
    taken = []
    while batches := await asyncio.gather(*(queue.claim(org, wanted) for queue in queues)):
        if not any(batches):
            break
        taken += [claim for batch in batches for claim in batch]
    assert len(taken) == EVENTS
    assert len({claim.id for claim in taken}) == EVENTS
    assert {(claim.attempt, claim.fence) for claim in taken} == {(1, 1)}
    assert {claim.event["id"] for claim in taken} == {str(n) for n in range(EVENTS)}


async def test_only_the_fence_of_now_ends_a_delivery(bus: Bus) -> None:
    """The late one changes nothing but the record of its attempt."""
    org, wanted = bus.house.owner.org, {subscription(bus): 1}
    early, late = (Queue(bus.house.scoped, bus.house.clock, f"run_{n}") for n in range(2))
    (first,) = await early.claim(org, wanted)
    bus.house.clock.advance(91)
    await bus.house.directory.refresh()
    claims = await late.claim(org, {subscription(bus): EVENTS})
    (second,) = [claim for claim in claims if claim.id == first.id]
    now = bus.house.clock.now()
    done = Next("done", None, 1)
    assert await early.end([Ended(first, Outcome("delivered"), done, now, 1)]) == 1
    assert (await bus.deliveries.show(bus.house.owner, first.id)).state == "inflight"
    assert await late.end([Ended(second, Outcome("delivered"), done, now, 1)]) == 0
    shown = await bus.deliveries.show(bus.house.owner, first.id)
    assert (shown.state, [one.fence for one in shown.attempts]) == ("done", [1, 2])


async def test_what_somebody_ends_meanwhile_is_no_lease_that_was_lost(bus: Bus) -> None:
    """Nor is it delivered by who tried it."""
    org, queue = bus.house.owner.org, bus.dispatcher._queue
    claims = await queue.claim(org, {subscription(bus): EVENTS})
    first, *_ = claims
    await bus.deliveries.cancel(bus.house.owner, EventCancel(event=first.event["id"]))
    now = bus.house.clock.now()
    done = Next("done", None, 1)
    assert await queue.end([Ended(one, Outcome("delivered"), done, now, 1) for one in claims]) == 0
    assert (await bus.deliveries.show(bus.house.owner, first.id)).state == "cancelled"


async def test_who_is_due_is_told_for_each_subscription(bus: Bus) -> None:
    queue = bus.dispatcher._queue
    due = await queue.due()
    assert list(due) == [subscription(bus)]
    assert due[subscription(bus)] <= bus.house.clock.now()
    claims = await queue.claim(bus.house.owner.org, {subscription(bus): EVENTS})
    assert (await queue.due())[subscription(bus)] > bus.house.clock.now()
    now = bus.house.clock.now()
    done = Next("done", None, 1)
    await queue.end([Ended(one, Outcome("delivered"), done, now, 1) for one in claims])
    assert await queue.due() == {}


async def test_an_event_and_its_deliveries_are_there_together_or_not(bus: Bus) -> None:
    """A unit whose event is taken already leaves no delivery behind."""
    before = len(await bus.rows(limit=1000))
    again = await bus.publish("order.made", id="1")
    assert again.duplicate
    assert len(await bus.rows(limit=1000)) == before == EVENTS


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
async def test_processes_that_race_never_have_the_same_claim(
    bus: Bus, url: str, tmp_path: Path
) -> None:
    """No (delivery, attempt, fence) twice, over attempts that fail and are claimed again."""
    command = [
        sys.executable, str(Path(__file__).with_name("claiming_process.py")), str(tmp_path), url,
        bus.house.owner.org, subscription(bus), str(bus.house.clock.now()),
    ]  # fmt: skip

    def race() -> list[str]:
        with ExitStack() as stack:
            racers = [
                stack.enter_context(
                    subprocess.Popen(
                        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                    )
                )
                for _ in range(2)
            ]
            for racer in racers:
                assert racer.stdout is not None
                assert racer.stdout.readline() == "ready\n"
            return [
                line
                for racer in _go(racers)
                for line in racer.communicate(timeout=60)[0].splitlines()
            ]

    lines = await asyncio.to_thread(race)
    assert not [line for line in lines if line.startswith("lost")]
    assert len(lines) == len(set(lines)) == 2 * EVENTS
    assert {row.state for row in await bus.rows(limit=1000)} == {"done"}


def _go(racers: list["subprocess.Popen[str]"]) -> list["subprocess.Popen[str]"]:
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    return racers


async def test_an_org_that_is_removed_while_its_events_are_claimed_ends_nothing(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was claimed is gone with it; the others are served on."""
    queue, house = bus.dispatcher._queue, bus.house
    org = house.owner.org
    scoped = house.scoped.org(org)

    async def none(*_name: object, **_values: object) -> list[object]:
        return []

    monkeypatch.setattr(type(scoped), "all", none)
    assert await queue.claim(org, {subscription(bus): EVENTS}) == []


async def test_the_loop_outlives_whatever_goes_wrong_in_a_round(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the only one that delivers, for every org."""
    rounds = asyncio.Queue[None]()
    failures = iter([KeyError("x"), StoreUnavailable("away")])

    async def pump() -> float:
        rounds.put_nowait(None)
        if (failure := next(failures, None)) is not None:
            raise failure
        return 0.0

    monkeypatch.setattr(bus.dispatcher, "pump", pump)
    bus.dispatcher.start()
    for _ in range(3):
        bus.dispatcher.wake()
        await asyncio.wait_for(rounds.get(), 60)
    await bus.dispatcher.stop()

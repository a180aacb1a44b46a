"""mesh.delivery.dead: told once for each delivery that is given up, with it or not at all."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from socket import socket
from typing import Any

import pytest

from meshd.bus.queue import Ended
from meshd.bus.retry import ATTEMPTS, Next, Outcome
from meshd.services.sweeping import DAY, Retention
from meshd.store.db import Step
from meshd.wire.event import EventTail
from meshd.wire.subscription import WebhookAdd
from tests.support.bus import Bus
from tests.support.floors import floors
from tests.support.sweeping import sweeper
from tests.support.upstream import Seen, Upstream, answer, upstream

TOLD = "mesh.delivery.dead"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("dsn")) if request.param == "postgres" else ""


@pytest.fixture
async def bus(url: str, tmp_path: Path) -> AsyncIterator[Bus]:
    async with floors(tmp_path, url) as house:
        made = Bus.over(house)
        yield made
        await made.dispatcher.stop()
        for pool in (made.delivering._trusted, made.delivering._public):
            await pool.close()


@pytest.fixture
def receiver() -> Iterator[Upstream]:
    with upstream() as made:
        made.replies[""] = answer(b"", status="204 No Content")
        yield made


async def listens(bus: Bus, name: str, *types: str, webhook: str = "http://127.0.0.1:9/") -> str:
    asked = WebhookAdd(types=list(types), webhook=webhook, name=name)
    return (await bus.subscriptions.add_webhook(bus.house.owner, asked)).id


def hopeless(bus: Bus, error: str = "it cannot be") -> None:
    """Every attempt is the last."""

    async def deliver(claims: list[Any]) -> list[Outcome]:
        return [Outcome("hopeless", error)] * len(claims)

    bus.dispatcher._deliver = deliver


async def told(bus: Bus) -> list[dict[str, Any]]:
    """The data of each, oldest first."""
    tail = bus.house.events.tail(bus.house.owner, EventTail(after=0, follow=False))
    events = [event async for event in tail if event is not None]
    return [json.loads(bytes(event.data)) for event in events if event.type == TOLD]


async def test_what_is_given_up_is_told_to_whoever_listens(bus: Bus, receiver: Upstream) -> None:
    """An alert: the failing target's event reaches a webhook, as a signed CloudEvent."""
    failing = await listens(bus, "billing", "order.*", webhook=f"{receiver.url}/billing")
    await listens(bus, "alert", TOLD, webhook=f"{receiver.url}/alert")

    def gone_for_one(seen: Seen, wire: socket) -> None:
        status = "410 Gone" if seen.target.endswith("/billing") else "204 No Content"
        answer(b"", status=status)(seen, wire)

    receiver.replies[""] = gone_for_one
    await bus.publish("order.made", id="17")
    await bus.turn()
    await bus.turn()
    (heard,) = [seen for seen in receiver.seen if seen.target.endswith("/alert")]
    event = json.loads(heard.body)
    (row,) = await bus.rows(state="dead")
    assert (event["type"], event["subject"]) == (TOLD, failing)
    assert event["source"] == f"/orgs/{bus.house.owner.org}"
    assert event["data"] == {
        "delivery": row.id, "event_id": "17", "event_type": "order.made",
        "event_source": row.source, "subscription_id": failing, "subscription": "billing",
        "attempt": 1, "error": row.error, "expired": False, "ended_at": row.ended_at,
        "by": {"id": "meshd", "name": "meshd"},
    }  # fmt: skip


async def test_used_up_attempts_poison_and_age_are_told_alike(bus: Bus) -> None:
    await listens(bus, "s", "order.*")

    async def fails(claims: list[Any]) -> list[Outcome]:
        return [Outcome("failed", "token=hunter2hunter2")] * len(claims)

    bus.dispatcher._deliver = fails
    await bus.publish("order.made", id="tried")
    for _ in range(ATTEMPTS):
        await bus.turn()
        bus.house.clock.advance(3600 * 1.2)
        await bus.house.directory.refresh()
        for circuit in bus.dispatcher._circuits.values():
            circuit.failures = 0
    await bus.publish("order.made", id="poison")
    (subscription,) = bus.house.directory.view.subscriptions
    for _ in range(3):
        await bus.dispatcher._queue.claim(bus.house.owner.org, {subscription: 1})
        bus.house.clock.advance(91)
    await bus.turn()
    await bus.publish("order.made", id="old")
    bus.house.clock.advance(8 * 86_400)
    await bus.house.directory.refresh()
    keep = Retention(events=60 * DAY, calls=DAY, waiting=7 * DAY)
    assert await sweeper(bus.house, keep).sweep() >= 1
    found = {one["event_id"]: one for one in await told(bus)}
    assert {name: (one["attempt"], one["expired"]) for name, one in found.items()} == {
        "tried": (ATTEMPTS, False), "poison": (4, False), "old": (0, True),
    }  # fmt: skip
    assert "hunter2" not in json.dumps(found)
    assert found["old"]["error"] == "it waited for too long"


async def test_what_tells_of_deliveries_is_given_up_in_silence(bus: Bus) -> None:
    """A listener that always fails hears of the first, and of its own failing nothing."""
    hopeless(bus)
    await listens(bus, "s", "*")
    await bus.publish("order.made")
    for _ in range(5):
        await bus.turn()
    assert {one["event_type"] for one in await told(bus)} <= {
        "order.made", "mesh.subscription.added",
    }  # fmt: skip
    assert not await bus.rows(state="ready")


async def test_who_lost_the_lease_tells_nothing(bus: Bus) -> None:
    """Neither that it was given up, nor to anybody who would listen."""
    mine = await listens(bus, "s", "order.*")
    await listens(bus, "alert", TOLD)
    await bus.publish("order.made")
    queue, org = bus.dispatcher._queue, bus.house.owner.org
    (early,) = await queue.claim(org, {mine: 1})
    bus.house.clock.advance(91)
    (late,) = await queue.claim(org, {mine: 1})
    given_up = Next("dead", None, early.attempt)
    assert await queue.end([Ended(early, Outcome("hopeless", "x"), given_up, 0, 0)]) == 1
    assert await told(bus) == []
    assert len(await bus.rows()) == 1
    await queue.end([Ended(late, Outcome("hopeless", "x"), given_up, 0, 0)])
    assert [one["delivery"] for one in await told(bus)] == [late.id]


async def test_what_somebody_else_gave_up_by_age_is_told_of_once(bus: Bus) -> None:
    """Two daemons find the same, and one of them is later."""
    await listens(bus, "s", "order.*")
    await bus.publish("order.made")
    bus.house.clock.advance(8 * 86_400)
    await bus.house.directory.refresh()
    found = await bus.house.scoped.all(
        "delivery.overdue", time=bus.house.clock.now(), now=bus.house.clock.now()
    )
    before = bus.house.clock.now() - 7 * DAY
    assert await bus.dead.expire(before) == 1
    bus.house.clock.advance(1)
    kept = bus.house.scoped.all

    async def stale(query: str, /, **params: Any) -> list[Any]:
        return found if query == "delivery.overdue" else await kept(query, **params)

    bus.house.scoped.all = stale
    assert await bus.dead.expire(before) == 1
    del bus.house.scoped.all
    assert len(await told(bus)) == 1


async def test_the_end_and_what_is_told_of_it_are_there_together_or_not(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit that is undone at its last step leaves the delivery as it was, and told of nowhere."""
    mine = await listens(bus, "s", "order.*")
    await bus.publish("order.made")
    (claim,) = await bus.dispatcher._queue.claim(bus.house.owner.org, {mine: 1})
    ended = [Ended(claim, Outcome("hopeless", "x"), Next("dead", None, 1), 0, 0)]
    queue = bus.dispatcher._queue
    whole = queue._told
    broken = Step("event.add", dict.fromkeys(("id", "type", "source", "subject", "time", "data")))
    monkeypatch.setattr(queue, "_told", lambda *given: [*whole(*given), broken])
    with pytest.raises(Exception, match=r"event\.add"):
        await queue.end(ended)
    assert [row.state for row in await bus.rows()] == ["inflight"]
    assert await told(bus) == []
    monkeypatch.undo()
    await queue.end(ended)
    assert [row.state for row in await bus.rows()] == ["dead"]
    assert len(await told(bus)) == 1

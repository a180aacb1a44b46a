"""Repairs leave a trace: who did what to which event, in the unit that does it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from meshd.bus.retry import Outcome
from meshd.wire.connection import ConnectionAdd
from meshd.wire.delivery import DeadChoice
from meshd.wire.errors import Conflict
from meshd.wire.event import EventAck, EventCancel, EventTail
from meshd.wire.subscription import SubscriptionRemove, WebhookAdd
from tests.support.bus import Bus
from tests.support.floors import Floors, floors


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("dsn")) if request.param == "postgres" else ""


@pytest.fixture
async def house(url: str, tmp_path: Path) -> AsyncIterator[Floors]:
    async with floors(tmp_path, url) as opened:
        yield opened


@pytest.fixture
async def bus(house: Floors) -> AsyncIterator[Bus]:
    """With a dead delivery of the event 17, and one of what told of that."""
    made = Bus.over(house)

    async def hopeless(claims: list[Any]) -> list[Outcome]:
        return [Outcome("hopeless", "no")] * len(claims)

    made.dispatcher._deliver = hopeless
    hook = WebhookAdd(
        types=["order.*", "mesh.delivery.dead"], webhook="http://127.0.0.1:9/", name="s"
    )
    await made.subscriptions.add_webhook(house.owner, hook)
    await house.connections.add(house.owner, ConnectionAdd(name="erp", url="http://127.0.0.1:1/"))
    await made.publish("order.made", id="17")
    await made.turn()
    await made.turn()
    yield made
    for pool in (made.delivering._trusted, made.delivering._public):
        await pool.close()


async def traces(bus: Bus) -> list[dict[str, Any]]:
    tail = bus.house.events.tail(bus.house.owner, EventTail(after=0, follow=False))
    events = [event async for event in tail if event is not None]
    told = ("mesh.event.", "mesh.delivery.retried", "mesh.delivery.dropped")
    return [
        {"type": event.type, "subject": event.subject, **json.loads(bytes(event.data))}
        for event in events
        if event.type.startswith(told)
    ]


async def dead(bus: Bus, kind: str) -> str:
    (row,) = [row for row in await bus.rows(state="dead") if row.type == kind]
    return row.id


@pytest.mark.parametrize("verb", ["retried", "replayed", "cancelled", "acked"])
async def test_what_is_done_to_an_event(bus: Bus, verb: str) -> None:
    who = await bus.house.key("ops", allow=["self/event.*"])
    event = await bus.deliveries.event(who, "17")
    do = {
        "retried": lambda name: bus.deliveries.retry(who, name),
        "replayed": lambda name: bus.deliveries.replay(who, name),
        "cancelled": lambda name: bus.deliveries.cancel(who, EventCancel(event=name)),
        "acked": lambda name: bus.deliveries.ack(who, EventAck(event=name, connection="erp")),
    }[verb]
    await do("17")
    assert await traces(bus) == [{
        "type": f"mesh.event.{verb}", "subject": event.meshid, "event_id": "17",
        "event_type": "order.made", "event_source": event.source,
        "by": {"id": who.id, "name": "ops"},
    }]  # fmt: skip
    told = await bus.rows(state="dead", limit=10)
    await do(next(row.event for row in told if row.type == "mesh.delivery.dead"))
    assert len(await traces(bus)) == 1, "what tells of deliveries is repaired in silence"


@pytest.mark.parametrize("verb", ["retried", "dropped"])
async def test_what_is_done_to_what_is_dead(bus: Bus, verb: str) -> None:
    who = await bus.house.key("ops", allow=["self/event.*"])
    do = bus.deliveries.dead_retry if verb == "retried" else bus.deliveries.dead_drop
    name = await dead(bus, "order.made")
    await do(who, DeadChoice(delivery=await dead(bus, "mesh.delivery.dead")))
    assert await traces(bus) == []
    await do(who, DeadChoice(delivery=name))
    await do(who, DeadChoice(all=True))
    by = {"by": {"id": who.id, "name": "ops"}, "type": f"mesh.delivery.{verb}"}
    assert await traces(bus) == [
        {"subject": name, "delivery": name, **by}, {"subject": "all", "delivery": None, **by},
    ]  # fmt: skip


async def test_a_repair_that_is_refused_leaves_none(bus: Bus) -> None:
    name = await dead(bus, "order.made")
    await bus.subscriptions.remove(bus.house.owner, SubscriptionRemove(subscription="s"))
    with pytest.raises(Conflict):
        await bus.deliveries.dead_retry(bus.house.owner, DeadChoice(delivery=name))
    assert await traces(bus) == []

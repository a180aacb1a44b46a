"""Deliveries from publish to their end: retries by the clock, dead letters, replay, permissions."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from msgspec import Raw

from meshd.bus.dispatcher import OF_A_SUBSCRIPTION
from meshd.bus.retry import ATTEMPTS, Outcome
from meshd.core.clock import MICROSECONDS
from meshd.store.db import Step
from meshd.wire.connection import ConnectionAddStdio
from meshd.wire.delivery import DeadChoice
from meshd.wire.errors import BadRequest, Conflict, Denied, NotFound, RateLimited, TooLarge
from meshd.wire.event import EventAck, EventCancel, EventList, EventPublish
from meshd.wire.key import KeyAdd, KeyEdit
from meshd.wire.subscription import (
    SubscriptionAdd,
    SubscriptionEdit,
    SubscriptionRemove,
    WebhookAdd,
)
from tests.support import stdio_server
from tests.support.bus import Bus
from tests.support.floors import Floors


@pytest.fixture
async def bus(house: Floors) -> AsyncIterator[Bus]:
    made = Bus.over(house)
    await house.connections.add_stdio(
        house.owner, ConnectionAddStdio(name="erp", command=list(stdio_server.command()))
    )
    yield made
    await made.dispatcher.stop()
    for pool in (made.delivering._trusted, made.delivering._public):
        await pool.close()


def calls(tool: str = "echo", template: bytes = b"{}", **more: object) -> SubscriptionAdd:
    given = {"types": ["order.*"], "connection": "erp", "tool": tool, "arguments": Raw(template)}
    return SubscriptionAdd(**{**given, **more})


async def test_a_failing_target_is_tried_by_the_schedule_until_it_is_dead(bus: Bus) -> None:
    """Twenty attempts, each when it is due and not before; then a replay of the same row."""
    clock = bus.house.clock
    await bus.subscriptions.add(bus.house.owner, calls("fail", name="s"))
    await bus.publish("order.made")
    pauses = []
    for attempt in range(1, ATTEMPTS + 1):
        await bus.turn()
        (row,) = await bus.rows()
        assert row.attempt == attempt
        if row.next_at is None:
            break
        before = clock.now()
        (due,) = (await bus.dispatcher._queue.due()).values()
        pauses.append((due - before) // MICROSECONDS)
        clock.advance((due - before) / MICROSECONDS - 0.001)
        await bus.turn()
        assert (await bus.rows())[0].attempt == attempt, "it is not due yet"
        clock.advance(0.002)
    assert pauses == [min(2**n, 3600) for n in range(ATTEMPTS - 1)]
    assert (row.state, row.error) == ("dead", "the tool failed")
    shown = await bus.deliveries.show(bus.house.owner, row.id)
    assert [one.attempt for one in shown.attempts] == list(range(1, ATTEMPTS + 1))
    assert {one.outcome for one in shown.attempts} == {"failed"}
    done = await bus.deliveries.dead_retry(bus.house.owner, DeadChoice(delivery=row.id))
    assert done.deliveries == [row.id]
    (again,) = await bus.rows()
    assert (again.id, again.state, again.attempt, again.replays) == (row.id, "ready", 0, 1)


async def test_a_circuit_holds_back_without_using_up_attempts(bus: Bus) -> None:
    await bus.subscriptions.add(bus.house.owner, calls("fail", name="s"))
    for n in range(25):
        await bus.publish("order.made", id=str(n))
    for _ in range(5):
        await bus.turn()
    tried = [row.attempt for row in await bus.rows()]
    assert bus.subscriptions.show(bus.house.owner, "s").held_back
    assert 20 <= sum(tried) < 25 + 8
    await bus.turn()
    assert sum(row.attempt for row in await bus.rows()) == sum(tried)
    kinds = [kind for kind in await bus.house.kinds() if kind.startswith("subscription.")]
    assert kinds == ["subscription.added", "subscription.held_back"]

    async def takes(claims: list) -> list[Outcome]:
        return [Outcome("delivered")] * len(claims)

    bus.dispatcher._deliver = takes
    bus.house.clock.advance(3600)
    await bus.turn()
    await bus.turn()
    assert (await bus.house.kinds())[-1] == "subscription.recovered"
    assert not bus.subscriptions.show(bus.house.owner, "s").held_back


async def test_an_event_without_what_the_template_asks_for_is_dead_at_once(bus: Bus) -> None:
    await bus.subscriptions.add(bus.house.owner, calls(template=b'{"n": "{{ event.data.no }}"}'))
    await bus.publish("order.made", b"{}")
    await bus.turn()
    (row,) = await bus.rows()
    assert (row.state, row.attempt) == ("dead", 1)
    assert row.error == 'the event has no "data.no"'


async def test_what_ended_the_daemon_each_time_is_poison(bus: Bus) -> None:
    """It was claimed thrice and never ended; its fourth claim is its last."""
    made = await bus.subscriptions.add(bus.house.owner, calls())
    await bus.publish("order.made")
    queue = bus.dispatcher._queue
    for _ in range(3):
        assert len(await queue.claim(bus.house.owner.org, {made.id: 1})) == 1
        bus.house.clock.advance(91)
    await bus.turn()
    (row,) = await bus.rows()
    assert (row.state, row.attempt) == ("dead", 4)
    assert row.error is not None
    assert row.error.startswith("poison")


async def test_who_lost_the_lease_writes_nothing(bus: Bus) -> None:
    made = await bus.subscriptions.add(bus.house.owner, calls())
    await bus.publish("order.made")
    queue = bus.dispatcher._queue
    (claim,) = await queue.claim(bus.house.owner.org, {made.id: 1})
    assert await queue.claim(bus.house.owner.org, {made.id: 1}) == []
    bus.house.clock.advance(91)
    (second,) = await queue.claim(bus.house.owner.org, {made.id: 1})
    assert (claim.fence, second.fence) == (1, 2)
    await queue.release([claim])
    (row,) = await bus.rows()
    assert (row.state, row.attempt) == ("inflight", 2)
    bus.house.clock.advance(80)
    await queue.extend([second])
    bus.house.clock.advance(80)
    assert await queue.claim(bus.house.owner.org, {made.id: 1}) == []


async def test_an_event_is_published_once(bus: Bus) -> None:
    await bus.subscriptions.add(bus.house.owner, calls())
    first = await bus.publish("order.made", b'{"a": 1, "b": 2}', id="17")
    again = await bus.publish("order.made", b'{"b":2,"a":1}', id="17")
    assert (first.duplicate, again.duplicate) == (False, True)
    assert (first.id, first.time, first.deliveries) == (again.id, again.time, again.deliveries)
    with pytest.raises(Conflict):
        await bus.publish("order.made", b'{"a": 2}', id="17")
    other = await bus.publish("order.made", b'{"a": 2}', id="17", source="/shop")
    assert not other.duplicate
    assert len(await bus.rows()) == 2
    with pytest.raises(Conflict, match="several sources"):
        await bus.deliveries.event(bus.house.owner, "17")


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (BadRequest, {"type": "mesh.key.added"}), (BadRequest, {"type": ""}),
        (BadRequest, {"type": "a\nb"}), (BadRequest, {"type": "a", "time": "yesterday"}),
        (BadRequest, {"type": "a", "time": "2026-02-30T00:00:00Z"}),
        (BadRequest, {"type": "a", "source": "a b"}), (BadRequest, {"type": "a", "id": ""}),
        (BadRequest, {"type": "a", "subject": "x" * 256}),
        (BadRequest, {"type": "a", "extensions": {"meshx": "1"}}),
        (BadRequest, {"type": "a", "extensions": {"Upper": "1"}}),
        (BadRequest, {"type": "a", "extensions": {"n": 2**40}}),
        (BadRequest, {"type": "a", "data_base64": "%"}),
        (BadRequest, {"type": "a", "datacontenttype": "text"}),
        (TooLarge, {"type": "a", "data": "x" * 262_144}),
    ],
    ids=lambda value: str(value)[:50],
)  # fmt: skip
async def test_what_is_no_event(bus: Bus, error: type[Exception], asked: dict) -> None:
    given = {
        **asked,
        **({"data": Raw(b'"%b"' % asked["data"].encode())} if "data" in asked else {}),
    }
    with pytest.raises(error):
        await bus.publishing.publish_as(bus.house.owner, EventPublish(**given))


async def test_an_org_has_its_quota(house: Floors) -> None:
    bus = Bus.over(house, rate=3)
    for _ in range(3):
        await bus.publish("a")
    with pytest.raises(RateLimited) as refused:
        await bus.publish("a")
    assert refused.value.facts == {"retry_after_s": "1"}
    house.clock.advance(1)
    await bus.publish("a")


async def test_system_events_are_delivered_like_any(bus: Bus) -> None:
    await bus.subscriptions.add(bus.house.owner, calls(types=["mesh.key.*"]))
    await bus.house.keys.add(bus.house.owner, KeyAdd(name="laptop"))
    await bus.publish("order.made")
    await bus.turn()
    (row,) = await bus.rows()
    assert (row.type, row.state) == ("mesh.key.added", "done")


async def test_a_subscription_runs_with_what_its_maker_may_do(bus: Bus) -> None:
    """Exactly the grant; a maker that may less later; one that is gone. Nothing is lost by it."""
    house = bus.house
    key = await house.key("maker", allow=["erp/echo", "self/subscription.add"])
    with pytest.raises(Denied):
        await bus.subscriptions.add(key, calls("write"))
    with pytest.raises(Denied):
        await bus.subscriptions.add(key, SubscriptionAdd(types=["*"], connection="erp"))
    await bus.subscriptions.add(key, calls(name="s"))
    await bus.publish("order.made", id="1")
    await bus.turn()
    assert (await bus.rows())[0].state == "done"
    await house.keys.edit(house.owner, KeyEdit(key="maker", revoke=["erp/echo"]))
    await bus.publish("order.made", id="2")
    await bus.turn()
    shown = bus.subscriptions.show(house.owner, "s")
    assert (shown.state, shown.reason) == ("paused", "no grant of maker covers tool echo")
    (held,) = await bus.rows(state="ready")
    assert held.attempt == 0
    await house.keys.edit(house.owner, KeyEdit(key="maker", allow=["erp/*"]))
    await bus.subscriptions.resume(house.owner, "s")
    await bus.turn()
    assert {row.state for row in await bus.rows()} == {"done"}
    await house.keys.revoke(house.owner, "maker")
    await bus.publish("order.made", id="3")
    await bus.turn()
    shown = bus.subscriptions.show(house.owner, "s")
    assert (shown.state, shown.reason) == (
        "paused",
        "owner gone: the key maker was revoked or has expired",
    )


async def test_a_key_publishes_as_itself_alone(bus: Bus) -> None:
    key = await bus.house.key("shop", allow=["self/event.publish"])
    made = await bus.publishing.publish(key, EventPublish(type="a"))
    assert made.source == f"/keys/{key.id}"
    with pytest.raises(Denied):
        await bus.publishing.publish(key, EventPublish(type="a", source="/else"))


async def test_filters_and_publishers_are_asked_at_publish(bus: Bus) -> None:
    key = await bus.house.key("shop", allow=["self/event.publish"])
    add = bus.subscriptions.add
    await add(bus.house.owner, calls(name="eu", filter=["subject=eu-*"]))
    await add(
        bus.house.owner, calls(name="not-eu", filter=['{"not": {"prefix": {"subject": "eu-"}}}'])
    )
    await add(bus.house.owner, calls(name="shop", publisher="shop"))
    await bus.publish("order.made", subject="eu-1", id="1")
    await bus.publishing.publish(key, EventPublish(type="order.made", subject="us-1", id="2"))
    heard = {(row.subscription, row.event) for row in await bus.rows()}
    assert heard == {("eu", "1"), ("not-eu", "2"), ("shop", "2")}


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (BadRequest, {"types": []}), (BadRequest, {"types": [""]}), (BadRequest, {"name": "A b"}),
        (BadRequest, {"filter": ["subject"]}), (BadRequest, {"filter": ["subject=a*b"]}),
        (BadRequest, {"filter": ["{"]}), (BadRequest, {"filter": ['{"sql": "x"}']}),
        (BadRequest, {"template": b"[]"}), (BadRequest, {"template": b'{"a": "{{ x }}"}'}),
        (NotFound, {"connection": "crm"}), (NotFound, {"publisher": "nobody"}),
    ],
    ids=str,
)  # fmt: skip
async def test_what_is_no_subscription(bus: Bus, error: type[Exception], asked: dict) -> None:
    with pytest.raises(error):
        await bus.subscriptions.add(bus.house.owner, calls(**asked))


@pytest.mark.parametrize("url", ["ftp://x/", "https://", "x", "http://169.254.169.254/latest"])
async def test_what_is_no_webhook(bus: Bus, url: str) -> None:
    with pytest.raises(BadRequest):
        await bus.subscriptions.add_webhook(bus.house.owner, WebhookAdd(types=["*"], webhook=url))


async def test_a_stranger_reaches_public_addresses_alone(bus: Bus) -> None:
    """The loopback was named by nobody who operates this machine."""
    key = await bus.house.key_of_someone("bob", allow=["self/subscription.add_webhook"])
    stranger = replace(key, instance_admin=False)
    asked = WebhookAdd(types=["order.*"], webhook="http://127.0.0.1:9/in")
    await bus.subscriptions.add_webhook(stranger, asked)
    await bus.publish("order.made")
    await bus.turn()
    (row,) = await bus.rows()
    assert row.state == "waiting"
    assert row.error is not None
    assert "not allowed" in row.error


@pytest.mark.parametrize("loss", ["narrowed", "of then"])
async def test_a_webhook_whose_maker_may_send_no_more_pauses(bus: Bus, loss: str) -> None:
    """Its key of now and its scope of then count, as they do for what calls tools."""
    house = bus.house
    maker = await house.key("maker", allow=["self/subscription.add_webhook"])
    asked = WebhookAdd(types=["*"], webhook="http://127.0.0.1:9/in", name="s")
    await bus.subscriptions.add_webhook(maker, asked)
    if loss == "narrowed":
        edit = KeyEdit(key="maker", revoke=["self/subscription.add_webhook"])
        await house.keys.edit(house.owner, edit)
    else:
        await house.raw("UPDATE subscriptions SET maker = replace(maker, 'add_webhook', 'list')")
    await bus.publish("a", id="1")
    await bus.turn()
    shown = bus.subscriptions.show(house.owner, "s")
    assert shown.state == "paused"
    assert shown.reason == "no grant of maker covers subscription.add_webhook"
    taker = await house.key("taker", allow=["self/subscription.edit"])
    with pytest.raises(Denied):
        await bus.subscriptions.edit(taker, SubscriptionEdit(subscription="s", owner="me"))


async def test_a_key_that_is_extended_keeps_its_subscription(bus: Bus) -> None:
    """Until when is said by the key of now, not by that of then."""
    house = bus.house
    maker = await house.key("brief", allow=["erp/echo", "self/subscription.add"], expires="1h")
    await bus.subscriptions.add(maker, calls(types=["*"], name="s"))
    await house.keys.edit(house.owner, KeyEdit(key="brief", expires="9h"))
    house.clock.advance(7200)
    await house.directory.refresh()
    await bus.subscriptions.stop_ownerless()
    await bus.publish("a", id="1")
    await bus.turn()
    (row,) = await bus.rows(event="1")
    assert row.state == "done"
    assert bus.subscriptions.show(house.owner, "s").state == "active"


async def test_an_ack_ends_what_is_for_on_events_alone(bus: Bus) -> None:
    """A tool of the connection that somebody else has called was promised nothing by it."""
    for name, tool in (("hears", None), ("calls", "echo")):
        asked = SubscriptionAdd(types=["a"], connection="erp", tool=tool, name=name)
        await bus.subscriptions.add(bus.house.owner, asked)
    await bus.publish("a", id="1")
    done = await bus.deliveries.ack(bus.house.owner, EventAck(event="1", connection="erp"))
    assert len(done.deliveries) == 1
    states = {row.subscription: row.state for row in await bus.rows()}
    assert states == {"hears": "done", "calls": "ready"}


async def test_cancelling_and_removing_end_what_waits(bus: Bus) -> None:
    await bus.subscriptions.add(bus.house.owner, calls("fail", name="s"))
    await bus.publish("order.made", id="1")
    await bus.publish("order.made", id="2")
    assert (
        len((await bus.deliveries.cancel(bus.house.owner, EventCancel(event="1"))).deliveries) == 1
    )
    await bus.subscriptions.remove(bus.house.owner, SubscriptionRemove(subscription="s"))
    assert {row.state for row in await bus.rows()} == {"cancelled"}
    assert (await bus.deliveries.replay(bus.house.owner, "2")).deliveries == []


async def test_a_replay_delivers_again_in_the_same_row(bus: Bus) -> None:
    await bus.subscriptions.add(bus.house.owner, calls())
    await bus.publish("order.made", id="1")
    await bus.turn()
    (before,) = await bus.rows(state="done")
    await bus.deliveries.replay(bus.house.owner, "1")
    await bus.turn()
    (after,) = await bus.rows()
    assert (after.id, after.state, after.replays) == (before.id, "done", 1)


async def test_housekeeping_keeps_what_a_delivery_needs(bus: Bus) -> None:
    """The event of a dead delivery stays as long as that can be replayed."""
    await bus.subscriptions.add(bus.house.owner, calls(template=b'{"n": "{{ event.data.no }}"}'))
    await bus.publish("order.made", b"{}", id="dead")
    await bus.publish("order.made", b'{"no": 1}', id="done")
    await bus.turn()
    now = bus.house.clock.now()
    db = bus.house.scoped
    await db.write(Step("event.sweep", {"time": now + MICROSECONDS}))
    kept = [row.id for row in await bus.deliveries.events(bus.house.owner, EventList())]
    assert kept == ["dead"]
    await db.write(Step("delivery.sweep", {"state": "dead", "time": now + MICROSECONDS}))
    await db.write(Step("event.sweep", {"time": now + MICROSECONDS}))
    assert await bus.deliveries.events(bus.house.owner, EventList()) == []


async def test_what_is_under_way_to_one_subscriber_is_bounded(bus: Bus) -> None:
    await bus.subscriptions.add(bus.house.owner, calls(name="a"))
    for n in range(40):
        await bus.publish("order.made", id=str(n))
    await bus.dispatcher.pump()
    assert bus.dispatcher.under_way == OF_A_SUBSCRIPTION
    for _ in range(5):
        await bus.turn()
    assert {row.state for row in await bus.rows()} == {"done"}

"""Order by key, fairness between orgs, two secrets, a full disk, and owners that are gone."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from meshd.bus.dispatcher import OF_A_SUBSCRIPTION, OF_AN_ORG
from meshd.bus.queue import Claim
from meshd.bus.retry import Outcome
from meshd.bus.signing import headers
from meshd.core.clock import MICROSECONDS
from meshd.core.secret import Secret
from meshd.services.sweeping import DAY, Retention
from meshd.services.syncing import Wanted
from meshd.store.db import Step
from meshd.wire.connection import ConnectionAddStdio
from meshd.wire.errors import BadRequest, Conflict, Denied, RateLimited, StorageFull
from meshd.wire.event import EventList, EventPublish
from meshd.wire.key import KeyEdit
from meshd.wire.subscription import (
    SecretRotate,
    SubscriptionAdd,
    SubscriptionEdit,
    WebhookAdd,
)
from tests.support import fault, stdio_server
from tests.support.bus import Bus
from tests.support.floors import Floors
from tests.support.sweeping import sweeper
from tests.support.upstream import Reply, Upstream, answer, upstream


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


@pytest.fixture
def receiver() -> Iterator[Upstream]:
    with upstream() as made:
        made.replies[""] = answer(b"", status="204 No Content")
        yield made


def scripted(bus: Bus, says: dict[str, Outcome], gate: asyncio.Event | None = None) -> list[str]:
    """Deliveries go nowhere: each has the outcome of its event's id. What was tried, in order.

    They end once the `gate` is open.
    """
    tried: list[str] = []

    async def deliver(claims: list[Claim]) -> list[Outcome]:
        if gate is not None:
            await gate.wait()
        tried.extend(claim.event["id"] for claim in claims)
        return [says.get(claim.event["id"], Outcome("delivered")) for claim in claims]

    bus.dispatcher._deliver = deliver
    return tried


async def hook(bus: Bus, **more: object) -> None:
    given = {"types": ["*"], "webhook": "http://127.0.0.1:9/", "name": "s", **more}
    asked = WebhookAdd(**given)
    await bus.subscriptions.add_webhook(bus.house.owner, asked)


@pytest.mark.parametrize(
    ("by", "event"),
    [
        ("subject", {"subject": "a"}),
        ("source", {}),
        ("data.order.no", {"data": b'{"order":{"no":7}}'}),
    ],
)
async def test_what_has_one_key_goes_one_after_the_other(
    bus: Bus, by: str, event: dict[str, object]
) -> None:
    """A failing head holds back those behind it, until it is done."""
    says = {"1": Outcome("failed", "not yet")}
    tried = scripted(bus, says)
    await hook(bus, ordered_by=by)
    for number in ("1", "2", "3"):
        await bus.publish("a", id=number, **event)
    for _ in range(3):
        await bus.turn()
    assert tried == ["1"]
    del says["1"]
    bus.house.clock.advance(2)
    for _ in range(3):
        await bus.turn()
    assert tried == ["1", "1", "2", "3"]


async def test_a_key_holds_back_its_own_alone_and_a_dead_head_nobody(bus: Bus) -> None:
    tried = scripted(bus, {"1": Outcome("failed"), "x1": Outcome("hopeless")})
    await hook(bus, types=["a"], ordered_by="subject")
    for number in ("1", "2"):
        await bus.publish("a", id=number, subject="a")
        await bus.publish("a", id=f"x{number}", subject="x")
        await bus.publish("a", id=f"none{number}")
    for _ in range(3):
        await bus.turn()
    assert sorted(tried) == ["1", "none1", "none2", "x1", "x2"]
    assert tried.index("x1") < tried.index("x2")


async def test_what_is_published_for_later_holds_its_key_back_for_nobody(bus: Bus) -> None:
    """Anybody who may publish could else stop a key for years."""
    tried = scripted(bus, {})
    await hook(bus, ordered_by="subject")
    await bus.publish("a", id="later", subject="a", deliver_at="9999-01-01T00:00:00Z")
    for number in ("1", "2"):
        await bus.publish("a", id=number, subject="a")
    for _ in range(3):
        await bus.turn()
    assert tried == ["1", "2"]


async def test_without_an_order_a_failing_event_holds_back_nothing(bus: Bus) -> None:
    tried = scripted(bus, {"1": Outcome("failed")})
    await hook(bus)
    for number in ("1", "2"):
        await bus.publish("a", id=number, subject="a")
    await bus.turn()
    assert tried == ["1", "2"]


@pytest.mark.parametrize("by", ["", "data.", "data..a", "x" * 300, "a\nb"])
async def test_what_orders_nothing_is_refused(bus: Bus, by: str) -> None:
    with pytest.raises(BadRequest):
        await hook(bus, ordered_by=by)


async def test_one_org_s_backlog_does_not_keep_another_waiting(bus: Bus) -> None:
    """With more waiting than may be on its way, the other org's one event goes in the same turn."""
    house = bus.house
    gate = asyncio.Event()
    tried = scripted(bus, {}, gate)
    await house.scoped.write(Step("org.add", {"id": "org_other", "name": "other", "now": 1}))
    await house.directory.refresh()
    other = replace(house.owner, org="org_other")
    steps, want = bus.subscriptions._steps, Wanted(("*",), None, None)
    for who, count in ((house.owner, OF_AN_ORG // OF_A_SUBSCRIPTION + 2), (other, 1)):
        for number in range(count):
            made = f"sub_{who.org}_{number}"
            added = steps.add(who, made, f"s{number}", want, {"tool": "x"}, kind="call")
            await house.scoped.org(who.org).write(*added)
    await house.directory.refresh()
    for number in range(OF_A_SUBSCRIPTION):
        await bus.publish("a", id=f"mine-{number}")
    await bus.publishing.publish_as(other, EventPublish(type="a", id="theirs"))
    await bus.dispatcher.pump()
    of_orgs = dict(bus.dispatcher._of_org)
    assert of_orgs == {house.owner.org: OF_AN_ORG, "org_other": 1}
    gate.set()
    await bus.turn()
    assert "theirs" in tried


async def test_two_secrets_sign_for_a_while(bus: Bus, receiver: Upstream) -> None:
    """A receiver that knows only the old one, and one that knows only the new, both verify."""
    owner = bus.house.owner
    asked = WebhookAdd(types=["a"], webhook=receiver.url, name="s")
    old = (await bus.subscriptions.add_webhook(owner, asked)).secret
    made = await bus.subscriptions.rotate_secret(owner, SecretRotate(subscription="s", keep="1h"))
    assert made.secret != old
    await bus.publish("a", id="1")
    await bus.turn()
    bus.house.clock.advance(3601)
    await bus.house.directory.refresh()
    await bus.publish("a", id="2")
    await bus.turn()
    first, second = [seen for seen in receiver.seen if json.loads(seen.body)["type"] == "a"]
    for seen, secrets in ((first, [made.secret, old]), (second, [made.secret])):
        stamp = int(seen.header("webhook-timestamp") or 0)
        message = seen.header("webhook-id") or ""
        expected = headers([Secret(one) for one in secrets], message, stamp, seen.body)
        assert seen.header("webhook-signature") == expected["webhook-signature"]
    shown = bus.subscriptions.show(owner, "s")
    assert made.secret not in str(shown)


async def test_what_is_no_webhook_has_no_secret(bus: Bus) -> None:
    asked = SubscriptionAdd(types=["*"], connection="erp", tool="echo", name="s")
    await bus.subscriptions.add(bus.house.owner, asked)
    with pytest.raises(BadRequest):
        await bus.subscriptions.rotate_secret(bus.house.owner, SecretRotate(subscription="s"))


@pytest.mark.parametrize(
    ("reply", "outcome", "attempt", "pause"),
    [
        (answer(b"ok"), "delivered", 1, None),
        (fault.cut_json, "delivered", 1, None),
        (answer(b"", status="302 Found"), "failed", 1, 1),
        (answer(b"", status="500 Oops"), "failed", 1, 1),
        (answer(b"", "Retry-After: 90", status="429 Slow"), "deferred", 0, 90),
        (answer(b"", "Retry-After: soon", status="429 Slow"), "failed", 1, 1),
        (fault.no_http, "failed", 1, 1),
        (fault.reset, "failed", 1, 1),
        (answer(b"", status="410 Gone"), "gone", 1, None),
    ],
    ids=["200", "200-cut", "302", "500", "429", "429-soon", "garbage", "reset", "410"],
)
async def test_what_a_target_s_answer_means(
    bus: Bus, receiver: Upstream, reply: Reply, outcome: str, attempt: int, pause: int | None
) -> None:
    """The status decides, whatever becomes of the body; attempts are exact, and so is the wait."""
    receiver.replies[""] = reply
    asked = WebhookAdd(types=["a"], webhook=receiver.url, name="s")
    await bus.subscriptions.add_webhook(bus.house.owner, asked)
    await bus.publish("a", id="1")
    await bus.turn()
    (row,) = await bus.rows(event="1")
    shown = await bus.deliveries.show(bus.house.owner, row.id)
    assert [one.outcome for one in shown.attempts] == [outcome]
    assert row.attempt == attempt
    due = await bus.dispatcher._queue.due()
    waits = [(at - bus.house.clock.now()) / MICROSECONDS for at in due.values()]
    assert waits == ([] if pause is None else [pytest.approx(pause, rel=0.1)])
    assert len(receiver.seen) == 1


async def test_retention_keeps_the_database_flat(bus: Bus) -> None:
    """Days of events: after each day's sweep there is no more than the days that are kept."""
    house = bus.house
    scripted(bus, {})
    await hook(bus)
    housekeeping = sweeper(house, Retention(events=2 * DAY, calls=DAY, waiting=7 * DAY))
    sizes = []
    for day in range(6):
        for number in range(60):
            await bus.publish("a", b'"%b"' % (b"x" * 2000), id=f"{day}-{number}")
        while await bus.rows(state="ready"):
            await bus.turn()
        house.clock.advance(86_400)
        await house.directory.refresh()
        await housekeeping.sweep()
        sizes.append(len(await bus.deliveries.events(house.owner, EventList(limit=1000))))
    assert max(sizes[2:]) <= 2 * 62, sizes
    assert sizes[-1] == sizes[-2], "it grows no more"
    assert len(await bus.rows(limit=1000)) <= 2 * 62


async def test_the_same_again_has_the_same_answer_when_its_deliveries_are_gone(bus: Bus) -> None:
    """Retention keeps what was delivered for a day, and the event for longer."""
    house = bus.house
    scripted(bus, {})
    await hook(bus)
    first = await bus.publish("a", id="17")
    await bus.turn()
    house.clock.advance(2 * 86_400)
    await house.directory.refresh()
    keep = Retention(events=7 * DAY, calls=DAY, waiting=7 * DAY)
    await sweeper(house, keep).sweep()
    assert await bus.rows(event="17") == []
    again = await bus.publish("a", id="17")
    assert (again.deliveries, again.duplicate) == (first.deliveries, True) == (1, True)
    assert (again.id, again.time, again.source) == (first.id, first.time, first.source)


async def test_a_disk_that_is_nearly_full_takes_nothing_and_loses_nothing(bus: Bus) -> None:
    """Publishing is refused with when to come back; what waits is delivered; then it goes on."""
    tried = scripted(bus, {})
    await hook(bus)
    await bus.publish("a", id="before")
    bus.free = 0
    bus.house.clock.advance(2)
    with pytest.raises(StorageFull) as refused:
        await bus.publish("a", id="full")
    assert refused.value.facts["retry_after_s"] == "30"
    assert refused.value.status == 507
    await bus.turn()
    assert tried == ["before"]
    bus.free = 1 << 30
    bus.house.clock.advance(2)
    await bus.publish("a", id="full")
    await bus.turn()
    assert tried == ["before", "full"]


async def test_a_quota_says_when_to_come_back(house: Floors) -> None:
    bus = Bus.over(house, rate=2)
    for _ in range(2):
        await bus.publish("a")
    with pytest.raises(RateLimited) as refused:
        await bus.publish("a")
    assert refused.value.facts["retry_after_s"] == "1"
    house.clock.advance(1)
    await bus.publish("a")


async def test_a_subscription_without_its_owner_pauses_until_somebody_takes_it(bus: Bus) -> None:
    """At once, not at the next event; it cannot be resumed as nobody; its new owner's rights count."""
    house = bus.house
    maker = await house.key("maker", allow=["erp/echo", "self/subscription.add"])
    asked = SubscriptionAdd(types=["*"], connection="erp", tool="echo", name="s")
    await bus.subscriptions.add(maker, asked)
    await bus.publish("a", id="1")
    await house.keys.revoke(house.owner, "maker")
    await bus.subscriptions.stop_ownerless()
    shown = bus.subscriptions.show(house.owner, "s")
    assert shown.state == "paused"
    assert shown.reason == "owner gone: the key maker was revoked or has expired"
    with pytest.raises(Conflict) as refused:
        await bus.subscriptions.resume(house.owner, "s")
    assert refused.value.next == "meshctl subscription edit s --owner me"
    less = await house.key("less", allow=["self/subscription.edit"])
    for who, owner in ((less, "me"), (house.owner, "usr_somebody")):
        with pytest.raises(Denied):
            await bus.subscriptions.edit(who, SubscriptionEdit(subscription="s", owner=owner))
    taken = await bus.subscriptions.edit(
        house.owner, SubscriptionEdit(subscription="s", owner="me")
    )
    assert (taken.state, taken.maker) == ("active", house.owner.name)
    await bus.turn()
    (row,) = await bus.rows(event="1")
    assert row.state == "done"


async def test_a_key_that_expires_leaves_its_subscription_without_an_owner(bus: Bus) -> None:
    house = bus.house
    maker = await house.key("brief", allow=["erp/echo", "self/subscription.add"], expires="1h")
    asked = SubscriptionAdd(types=["*"], connection="erp", tool="echo", name="s")
    await bus.subscriptions.add(maker, asked)
    await bus.subscriptions.stop_ownerless()
    assert bus.subscriptions.show(house.owner, "s").state == "active"
    house.clock.advance(3601)
    await house.keys.edit(house.owner, KeyEdit(key="brief", name="still-there"))
    await bus.subscriptions.stop_ownerless()
    assert "owner gone" in (bus.subscriptions.show(house.owner, "s").reason or "")


async def test_who_takes_a_stranger_s_webhook_over_does_not_open_the_inside_to_it(
    bus: Bus, receiver: Upstream
) -> None:
    """The URL was named by who may reach public addresses alone, and stays so."""
    key = await bus.house.key_of_someone("bob", allow=["self/subscription.add_webhook"])
    asked = WebhookAdd(types=["*"], webhook=receiver.url, name="s")
    await bus.subscriptions.add_webhook(replace(key, instance_admin=False), asked)
    await bus.subscriptions.edit(bus.house.owner, SubscriptionEdit(subscription="s", owner="me"))
    await bus.publish("a")
    await bus.turn()
    assert receiver.seen == []
    assert "not allowed" in ((await bus.rows())[0].error or "")

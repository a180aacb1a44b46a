"""Schedules: who may make them, when they fire, and what happens after a pause of any kind."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from msgspec import Raw

from meshd.bus.slots import MAX_MISSED
from meshd.services import schedules as rules
from meshd.services.principal import Principal
from meshd.store.db import Step
from meshd.wire.errors import BadRequest, Conflict, Denied, NotFound, TooLarge
from meshd.wire.event import EventCancel
from meshd.wire.key import KeyEdit
from meshd.wire.schedule import (
    ScheduleEdit,
    ScheduleList,
    ScheduleNext,
    SchedulePublish,
    ScheduleRemove,
)
from meshd.wire.subscription import WebhookAdd
from tests.support.bus import Bus
from tests.support.floors import Floors
from tests.support.schedules import Timetable


@pytest.fixture
async def times(house: Floors) -> AsyncIterator[Timetable]:
    bus = Bus.over(house)
    yield Timetable.over(bus)
    for pool in (bus.delivering._trusted, bus.delivering._public):
        await pool.close()


async def subscribe(times: Timetable) -> None:
    await times.bus.subscriptions.add_webhook(
        times.bus.house.owner, WebhookAdd(types=["tick"], webhook="http://127.0.0.1:9/", name="s")
    )


def stranger(times: Timetable) -> Principal:
    return replace(times.bus.house.owner, org="org_other")


async def test_a_slot_publishes_an_event_of_its_maker_with_its_deliveries(times: Timetable) -> None:
    await subscribe(times)
    made = await times.add("*/5 * * * *", data=b'{"no": 17}', subject="a")
    assert made.next_at == "2026-11-23T12:05:00.000000Z"
    await times.pass_time(601)
    ticks = await times.ticks()
    assert [json.loads(one["data"]) for one in ticks] == [{"no": 17}] * 2
    assert {one["source"] for one in ticks} == {f"/users/{times.bus.house.owner.owner}"}
    marks = [json.loads(one["extensions"]) for one in ticks]
    slots = ["2026-11-23T12:05:00.000000Z", "2026-11-23T12:10:00.000000Z"]
    assert marks == [{"meshschedule": "tick", "meshslot": slot} for slot in slots]
    assert len(await times.bus.rows()) == 2
    shown = await times.show()
    assert [(one.slot, one.outcome, one.event) for one in shown.fires] == [
        (slot, "fired", one["id"]) for slot, one in zip(slots, ticks, strict=True)
    ][::-1]
    assert shown.next_at == "2026-11-23T12:15:00.000000Z"


async def test_without_subscribers_it_goes_on(times: Timetable) -> None:
    await times.add("* * * * *")
    await times.pass_time(150)
    await subscribe(times)
    await times.pass_time(60)
    assert len(await times.ticks()) == 3
    assert len(await times.bus.rows()) == 1


@pytest.mark.parametrize(
    ("misfire", "fired", "missed"), [("skip", 1, 59), ("once", 2, 58), ("all", 60, 0)]
)
async def test_after_an_hour_without_a_daemon(
    times: Timetable, misfire: str, fired: int, missed: int
) -> None:
    """The slot of this minute fires as ever; of those before, what the policy says."""
    await times.add("* * * * *", misfire=misfire)
    times.bus.house.clock.advance(3610)
    while await times.look() == 0:
        pass
    ticks = await times.ticks()
    assert len(ticks) == fired
    assert len({one["id"] for one in ticks}) == fired
    kinds = await times.bus.house.kinds()
    assert kinds.count("schedule.missed") == (1 if missed else 0)
    told = sum(one.missed + (one.outcome == "missed") for one in (await times.show()).fires)
    assert told == missed
    if misfire == "once":
        assert json.loads(ticks[0]["extensions"])["meshmissed"] == missed


async def test_what_is_made_up_for_is_bounded(times: Timetable) -> None:
    await times.add("*/2 * * * * *", misfire="all")
    times.bus.house.clock.advance(86_400)
    await times.look()
    assert len(await times.ticks()) == MAX_MISSED
    (told,) = [
        json.loads(row["data"])
        for row in await times.bus.house.db.all(
            "event.after", org_id=times.bus.house.owner.org, after=0, limit=5000
        )
        if row["type"] == "mesh.schedule.missed"
    ]
    assert (told["more"], told["misfire"]) == (True, "all")
    assert (await times.show()).next_at == "2026-11-24T11:59:00.000000Z"


async def test_a_quota_smaller_than_what_is_made_up_for_only_slows_it(house: Floors) -> None:
    bus = Bus.over(house, rate=3)
    times = Timetable.over(bus)
    await times.add("* * * * *", misfire="all")
    house.clock.advance(1210)
    for _ in range(20):
        await times.look()
        house.clock.advance(1)
    assert len(await times.ticks()) == 20
    assert {one.outcome for one in (await times.show()).fires} == {"fired"}
    for pool in (bus.delivering._trusted, bus.delivering._public):
        await pool.close()


async def test_one_that_cannot_be_read_keeps_nobody_else_from_firing(times: Timetable) -> None:
    await times.add("* * * * *", "broken")
    await times.add("* * * * *")
    house = times.bus.house
    await house.raw("UPDATE schedules SET maker = '{' WHERE name = 'broken'")
    house.clock.advance(60)
    await times.look()
    assert len(await times.ticks()) == 1
    await house.raw("UPDATE schedules SET maker = (SELECT max(maker) FROM schedules)")
    shown = await times.show("broken")
    assert (shown.state, shown.reason) == ("paused", "it cannot be read")


async def test_overlap_skip_waits_for_nothing_and_fires_when_it_is_delivered(
    times: Timetable,
) -> None:
    await subscribe(times)
    await times.add("* * * * *", overlap="skip")
    await times.pass_time(185)
    assert [one.outcome for one in (await times.show()).fires] == ["overlap", "overlap", "fired"]
    await deliver(times)
    await times.pass_time(60)
    assert (await times.show()).fires[0].outcome == "fired"
    assert len(await times.ticks()) == 2


async def test_overlap_queue_keeps_one_for_later(times: Timetable) -> None:
    """The one that waits stands for those that come meanwhile, whatever is done about misfires."""
    await subscribe(times)
    await times.add("* * * * *", overlap="queue", misfire="skip")
    await times.pass_time(60)
    house = times.bus.house
    for _ in range(4):
        house.clock.advance(60)
        assert await times.look() == 1.0
    assert (await times.show()).waits
    assert len(await times.ticks()) == 1
    await deliver(times)
    await times.look()
    first = (await times.show()).fires[0]
    assert (first.slot, first.outcome, first.missed) == ("2026-11-23T12:02:00.000000Z", "fired", 3)
    assert not (await times.show()).waits
    assert len(await times.ticks()) == 2


async def test_while_a_slot_waits_a_look_asks_for_nothing_else(
    times: Timetable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at each second: what came meanwhile is counted once it may fire."""
    await subscribe(times)
    await times.add("* * * * *", overlap="queue")
    await times.pass_time(125)
    assert (await times.show()).waits

    def planned(*_given: object, **_named: object) -> None:
        raise AssertionError("planned again")

    with monkeypatch.context() as patch:
        patch.setattr("meshd.services.firing.plan", planned)
        assert await times.look() == 1.0
    assert (await times.show()).state == "active"


@pytest.mark.parametrize("overlap", ["skip", "queue"])
async def test_what_waits_for_a_paused_subscription_holds_no_slot_back(
    times: Timetable, overlap: str
) -> None:
    await subscribe(times)
    await times.add("* * * * *", overlap=overlap)
    await times.pass_time(60)
    await times.bus.house.raw("UPDATE subscriptions SET state = 'paused'")
    await times.pass_time(60)
    assert (await times.show()).fires[0].outcome == "fired"
    assert len(await times.ticks()) == 2


async def deliver(times: Timetable) -> None:
    """As if everything had arrived."""
    await times.bus.house.raw("UPDATE deliveries SET state = 'done', available_at = NULL")


async def test_it_is_paused_resumed_and_removed_at_any_time(times: Timetable) -> None:
    owner = times.bus.house.owner
    await times.add("* * * * *")
    await times.schedules.pause(owner, "tick")
    await times.pass_time(600)
    assert await times.ticks() == []
    resumed = await times.schedules.resume(owner, "tick")
    assert resumed.next_at == "2026-11-23T12:11:00.000000Z"
    await times.pass_time(60)
    assert len(await times.ticks()) == 1
    await times.schedules.remove(owner, ScheduleRemove(schedule="tick"))
    await times.pass_time(600)
    assert len(await times.ticks()) == 1
    with pytest.raises(NotFound):
        await times.schedules.remove(owner, ScheduleRemove(schedule="tick"))


async def test_a_key_that_may_not_publish_makes_none(times: Timetable) -> None:
    key = await times.bus.house.key(allow=["self/schedule.add"])
    with pytest.raises(Denied) as refused:
        await times.add("* * * * *", who=key)
    assert refused.value.next == "meshctl key edit laptop --allow self/event.publish"


@pytest.mark.parametrize("loss", ["revoked", "expired", "narrowed"])
async def test_it_pauses_when_its_maker_may_no_longer(times: Timetable, loss: str) -> None:
    house = times.bus.house
    expires = "1h" if loss == "expired" else None
    key = await house.key(allow=["self/event.publish"], expires=expires)
    await times.add("0 * * * *", who=key)
    await times.pass_time(30)
    if loss == "revoked":
        await house.keys.revoke(house.owner, "laptop")
    elif loss == "narrowed":
        await house.keys.edit(house.owner, KeyEdit(key="laptop", revoke=["self/event.publish"]))
    house.clock.advance(3600)
    await times.look()
    assert await times.ticks() == []
    shown = await times.show()
    assert (shown.state, shown.next_at) == ("paused", None)
    assert shown.reason in {
        "the key laptop was revoked or has expired", "no grant of laptop covers event.publish",
    }  # fmt: skip


async def test_one_without_its_maker_is_taken_over_and_not_resumed(times: Timetable) -> None:
    house = times.bus.house
    key = await house.key(allow=["self/event.publish"])
    await times.add("0 * * * *", who=key)
    await house.keys.revoke(house.owner, "laptop")
    await times.pass_time(3600)
    with pytest.raises(Conflict) as refused:
        await times.schedules.resume(house.owner, "tick")
    assert "the key laptop was revoked" in refused.value.message
    assert refused.value.next == "meshctl schedule edit tick --owner me"
    less = await house.key("less", allow=["self/schedule.edit"])
    for who, owner in ((less, "me"), (house.owner, "usr_somebody")):
        with pytest.raises(Denied):
            await times.schedules.edit(who, ScheduleEdit(schedule="tick", owner=owner))
    taken = await times.schedules.edit(house.owner, ScheduleEdit(schedule="tick", owner="me"))
    assert (taken.state, taken.maker, taken.reason) == ("active", house.owner.name, None)
    assert taken.next_at == "2026-11-23T14:00:00.000000Z"
    await times.pass_time(3600)
    assert len(await times.ticks()) == 1


@pytest.mark.parametrize("rest", ["paused", "owner gone"])
async def test_publishing_by_cron_again_wakes_what_rests(times: Timetable, rest: str) -> None:
    """Nobody is told of a next time that never comes."""
    house = times.bus.house
    publisher = await house.key(allow=["self/event.publish"])
    asked = SchedulePublish(type="tick", cron="0 * * * *")
    first = await times.schedules.publish(publisher, asked)
    if rest == "paused":
        await times.schedules.pause(house.owner, first.id)
    else:
        await house.raw("UPDATE schedules SET maker = replace(maker, 'event.publish', 'x.y')")
    again = await times.schedules.publish(publisher, asked)
    assert (again.id, again.duplicate) == (first.id, False)
    assert again.time == "2026-11-23T13:00:00.000000Z"
    assert (await times.schedules.publish(publisher, asked)).duplicate
    await times.pass_time(3600)
    assert len(await times.ticks()) == 1


async def test_what_another_source_took_over_is_not_the_publisher_s_own_any_more(
    times: Timetable,
) -> None:
    house = times.bus.house
    publisher = await house.key(allow=["self/event.publish"])
    asked = SchedulePublish(type="tick", cron="0 * * * *")
    first = await times.schedules.publish(publisher, asked)
    await times.schedules.edit(house.owner, ScheduleEdit(schedule=first.id, owner="me"))
    again = await times.schedules.publish(publisher, asked)
    assert again.id != first.id
    assert not again.duplicate


async def test_a_daemon_that_is_behind_looks_again_before_it_pauses(times: Timetable) -> None:
    """Another daemon gave the key back what it needs, or more time."""
    house = times.bus.house
    key = await house.key(allow=["self/event.publish"])
    await times.add("0 * * * *", who=key)
    house.clock.advance(3600)
    await house.directory.refresh()
    house.directory._view = replace(house.directory.view, keys={})
    house.directory._revision -= 1
    await times.firing.fire_due()
    assert (await times.show()).state == "active"
    assert len(await times.ticks()) == 1


async def test_a_wider_key_of_later_gives_it_nothing(times: Timetable) -> None:
    """What was stored is the maker's scope of then."""
    house = times.bus.house
    key = await house.key(allow=["self/event.publish"])
    await times.add("0 * * * *", who=key)
    await house.raw("UPDATE schedules SET maker = replace(maker, 'event.publish', 'event.list')")
    await times.pass_time(3600)
    assert (await times.show()).state == "paused"


async def test_run_fires_beside_the_slots(times: Timetable) -> None:
    house = times.bus.house
    await subscribe(times)
    await times.add("0 12 * * *")
    ran = await times.firing.run(await times.schedules.find(house.owner, "tick"))
    assert (ran.type, ran.deliveries, ran.duplicate) == ("tick", 1, False)
    shown = await times.show()
    assert [one.outcome for one in shown.fires] == ["run"]
    assert shown.next_at == "2026-11-24T12:00:00.000000Z"
    await times.pass_time(86_400)
    assert [one.outcome for one in (await times.show()).fires] == ["fired", "run"]


async def test_a_slot_that_was_fired_before_the_clock_was_set_back_is_passed(
    times: Timetable,
) -> None:
    house = times.bus.house
    await times.add("* * * * *")
    await times.pass_time(185)
    house.clock.micros -= 150_000_000
    await times.schedules.pause(house.owner, "tick")
    await times.schedules.resume(house.owner, "tick")
    await times.pass_time(240)
    slots = [json.loads(one["extensions"])["meshslot"] for one in await times.ticks()]
    assert len(slots) == len(set(slots)) == 4


async def test_the_next_slots_are_shown_by_the_clocks_of_the_zone(times: Timetable) -> None:
    owner = times.bus.house.owner
    await times.add("30 2 * * *", tz="Europe/Berlin")
    found = await times.schedules.next(owner, ScheduleNext(schedule="tick", count=2))
    assert found == ["2026-11-24T02:30:00+01:00", "2026-11-25T02:30:00+01:00"]
    await times.schedules.pause(owner, "tick")
    assert found == await times.schedules.next(owner, ScheduleNext(schedule="tick", count=2))
    with pytest.raises(BadRequest):
        await times.schedules.next(owner, ScheduleNext(schedule="tick", count=1001))


@pytest.mark.parametrize(
    "wrong",
    [
        {"cron": "0 0 31 2 *"}, {"cron": "nonsense"}, {"cron": "* * * * *", "tz": "Mars/Phobos"},
        {"cron": "* * * * *", "name": "No Name"}, {"cron": "* * * * *", "subject": ""},
    ],
)  # fmt: skip
async def test_what_is_not_valid_is_refused(times: Timetable, wrong: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        await times.add(**wrong)
    assert await times.schedules.all(times.bus.house.owner, ScheduleList()) == []


async def test_names_sizes_and_numbers_are_bounded(
    times: Timetable, monkeypatch: pytest.MonkeyPatch
) -> None:
    await times.add("@daily")
    with pytest.raises(Conflict, match="exists already"):
        await times.add("@daily")
    with pytest.raises(TooLarge):
        await times.add("@daily", "big", data=b'"%b"' % (b"x" * rules.MAX_DATA))
    monkeypatch.setattr(rules, "MAX_OF_AN_ORG", 1)
    with pytest.raises(Conflict, match="at most 1 "):
        await times.add("@daily", "second")


async def test_publishing_by_cron_twice_is_one_schedule(times: Timetable) -> None:
    """By type, source, pattern and zone; what it says stays as it was first."""
    owner = times.bus.house.owner
    asked = SchedulePublish(type="tick", cron="*/5  * * * *", data=Raw(b"1"))
    first = await times.schedules.publish(owner, asked)
    assert (first.type, first.time, first.duplicate) == (
        "tick", "2026-11-23T12:05:00.000000Z", False,
    )  # fmt: skip
    again = await times.schedules.publish(
        owner, SchedulePublish(type="tick", cron="*/5 * * * *", data=Raw(b"2"))
    )
    assert (again.id, again.duplicate) == (first.id, True)
    assert bytes((await times.show(first.id)).data) == b"1"
    key = await times.bus.house.key(role="admin")
    for who, other in [
        (key, asked), (owner, SchedulePublish(type="tock", cron="*/5 * * * *")),
        (owner, SchedulePublish(type="tick", cron="*/5 * * * *", tz="Europe/Berlin")),
    ]:  # fmt: skip
        assert not (await times.schedules.publish(who, other)).duplicate


async def test_another_org_sees_and_changes_nothing(times: Timetable) -> None:
    other = stranger(times)

    async def removed(who: Principal, name: str) -> object:
        return await times.schedules.remove(who, ScheduleRemove(schedule=name))

    made = await times.add("* * * * *")
    await times.bus.house.db.write(
        Step("org.add", {"org_id": "org_other", "id": "org_other", "name": "other", "now": 1})
    )
    assert await times.schedules.all(other, ScheduleList()) == []
    for name in ("tick", made.id, "nothing"):
        for act in (times.schedules.show, times.schedules.pause, removed):
            with pytest.raises(NotFound):
                await act(other, name)
    assert (await times.show()).state == "active"


async def test_an_event_for_later_waits_and_can_be_cancelled(times: Timetable) -> None:
    """`deliver_at` puts off its deliveries, not its being stored."""
    bus = times.bus
    await subscribe(times)
    published = await bus.publish("tick", deliver_at="10m", id="later")
    assert published.deliveries == 1
    (row,) = await bus.rows()
    assert (row.state, row.next_at) == ("waiting", "2026-11-23T12:10:00.000000Z")
    assert (await bus.publish("tick", deliver_at="20m", id="later")).duplicate
    bus.house.clock.advance(599)
    await bus.turn()
    assert (await bus.rows())[0].attempt == 0
    assert (
        len((await bus.deliveries.cancel(bus.house.owner, EventCancel(event="later"))).deliveries)
        == 1
    )
    await bus.publish("tick", deliver_at="2020-01-01T00:00:00Z", id="past")
    assert (await bus.rows(event="past"))[0].next_at == "2026-11-23T12:09:59.000000Z"
    with pytest.raises(BadRequest):
        await bus.publish("tick", deliver_at="tomorrow")


async def test_a_slot_that_the_quota_holds_says_so_and_fires_once(house: Floors) -> None:
    """It waits, one event tells of it, and then it fires: it is not lost, and not fired twice."""
    bus = Bus.over(house, rate=1)
    times = Timetable.over(bus)
    for name in ("a", "b"):
        await times.add("* * * * *", name=name)
    house.clock.advance(60)
    for _ in range(3):
        await times.look()
    assert len(await times.ticks()) == 1
    kinds = await house.kinds()
    assert kinds.count("schedule.held") == 1
    house.clock.advance(1)
    await times.look()
    names = [json.loads(one["extensions"])["meshschedule"] for one in await times.ticks()]
    assert sorted(names) == ["a", "b"]
    await times.look()
    assert not times.firing._held
    for pool in (bus.delivering._trusted, bus.delivering._public):
        await pool.close()

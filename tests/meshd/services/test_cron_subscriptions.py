"""A server that has itself called at times: its schedule ends with the subscription it is for."""

from collections.abc import AsyncIterator

import pytest

from meshd.services.principal import Principal
from meshd.wire.connection import ConnectionAdd
from meshd.wire.schedule import ScheduleAdd, ScheduleList, SchedulePublish
from meshd.wire.subscription import SubscriptionRemove, SubscriptionSync, Wish
from tests.support.bus import Bus
from tests.support.floors import Floors
from tests.support.schedules import Timetable

DAILY, HOURLY = "cron/report/0 3 * * *", "cron/sync/0 * * * *"
ALLOW = ("erp", "crm", "self/event.publish", "self/subscription.*", "self/schedule.*")


@pytest.fixture
async def times(house: Floors) -> AsyncIterator[Timetable]:
    bus = Bus.over(house)
    for name in ("erp", "crm"):
        made = ConnectionAdd(name=name, url="http://127.0.0.1:1/")
        await house.connections.add(house.owner, made)
    yield Timetable.over(bus)
    for pool in (bus.delivering._trusted, bus.delivering._public):
        await pool.close()


async def key(times: Timetable, connection: str) -> Principal:
    allow = [*ALLOW]
    return await times.bus.house.key(f"{connection}-key", allow=allow, connection=connection)


async def sync(times: Timetable, who: Principal, connection: str, *types: str) -> None:
    wishes = [Wish(types=[one]) for one in types]
    asked = SubscriptionSync(connection=connection, subscriptions=wishes)
    await times.bus.subscriptions.sync(who, asked)


async def configured(times: Timetable, connection: str, *types: str) -> Principal:
    """As a server does when it is told of its mesh."""
    who = await key(times, connection)
    await sync(times, who, connection, *types)
    for one in types:
        cron = one.split("/", 2)[2]
        await times.schedules.publish(who, SchedulePublish(type=one, cron=cron, tz="UTC"))
    return who


async def running(times: Timetable) -> list[str]:
    rows = await times.schedules.all(times.bus.house.owner, ScheduleList())
    return sorted(f"{row.maker} {row.type}" for row in rows)


async def test_what_is_heard_no_more_is_published_no_more(times: Timetable) -> None:
    """Of that connection alone, and nothing that has a name."""
    erp = await configured(times, "erp", DAILY, HOURLY)
    await configured(times, "crm", DAILY)
    named = ScheduleAdd(name="named", type=DAILY, cron="@daily")
    await times.schedules.add(erp, named)
    await sync(times, erp, "erp", HOURLY)
    assert await running(times) == [
        f"crm-key {DAILY}", f"erp-key {DAILY}", f"erp-key {HOURLY}",
    ]  # fmt: skip
    left = await times.schedules.all(times.bus.house.owner, ScheduleList())
    assert "named" in {row.name for row in left}
    assert (await times.bus.house.kinds()).count("schedule.removed") == 1
    await sync(times, erp, "erp", HOURLY, "order.made")
    assert len(await running(times)) == 3, "what stays is left alone"


async def test_so_it_is_with_one_that_is_removed(times: Timetable) -> None:
    """Unless another of the connection hears the same still."""
    erp = await configured(times, "erp", DAILY)
    second = SubscriptionSync(
        connection="erp", subscriptions=[Wish(types=[DAILY]), Wish(types=[DAILY], publisher="crm")]
    )
    await times.bus.subscriptions.sync(erp, second)
    for left, row in zip((1, 0), times.bus.subscriptions.all(erp), strict=True):
        await times.bus.subscriptions.remove(erp, SubscriptionRemove(subscription=row.id))
        assert len(await running(times)) == left

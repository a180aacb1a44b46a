"""Keys that end soon are told of: once for each end, also by several daemons."""

from meshd.core.clock import iso
from meshd.services.expiring import AHEAD, Expiring
from meshd.wire.event import EventTail
from meshd.wire.key import KeyAdd, KeyEdit
from tests.support.floors import Floors

DAY = 86_400


def daemon(house: Floors) -> Expiring:
    return Expiring(house.scoped, house.directory, house.events, house.clock)


async def told(house: Floors) -> list[tuple[str | None, str]]:
    tail = EventTail(follow=False, filter=["type=mesh.key.expiring"])
    return [
        (one.subject, bytes(one.data).decode())
        async for one in house.events.tail(house.owner, tail)
    ]


async def test_a_key_is_told_of_within_a_week_of_its_end(house: Floors) -> None:
    """Not earlier; by one of two daemons; once; and again when it has another end."""
    end = house.clock.now() + AHEAD + DAY * 1_000_000
    made = await house.keys.add(house.owner, KeyAdd(name="ci", expires=iso(end)))
    one, other = daemon(house), daemon(house)
    await one.tell()
    assert await told(house) == []
    house.clock.advance(DAY)
    await house.directory.refresh()
    for looking in (one, other, one, daemon(house)):
        await looking.tell()
    ((subject, data),) = await told(house)
    assert subject == made.id
    assert '"name":"ci"' in data
    assert iso(end) in data
    await house.keys.edit(house.owner, KeyEdit(key="ci", expires=iso(end - 1_000_000)))
    await house.directory.refresh()
    await one.tell()
    await other.tell()
    assert len(await told(house)) == 2


async def test_a_key_that_ended_or_never_ends_is_not_told_of(house: Floors) -> None:
    await house.keys.add(house.owner, KeyAdd(name="short", expires="1h"))
    await house.keys.add(house.owner, KeyAdd(name="always"))
    house.clock.advance(2 * 3600)
    await house.directory.refresh()
    await daemon(house).tell()
    assert await told(house) == []

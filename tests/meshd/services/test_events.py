"""Events: written with their change, followed by a cursor, woken by a bell."""

import asyncio
from contextlib import aclosing

import pytest

from meshd.services.bell import Bell
from meshd.services.tails import PAGE
from meshd.wire.errors import BadRequest
from meshd.wire.event import Event, EventTail
from meshd.wire.system_events import SYSTEM_EVENTS
from tests.support.floors import Floors


async def happen(house: Floors, *names: str) -> None:
    """One event a name, a second apart."""
    for name in names:
        house.clock.advance(1)
        kind, _, subject = name.partition(" ")
        data = SYSTEM_EVENTS[kind].example
        await house.db.write(house.events.step(house.owner, kind, subject or "x", data))
    house.events.bell.ring()


async def collect(house: Floors, **asked: object) -> list[Event]:
    """What a tail that does not follow gives."""
    tail = house.events.tail(house.owner, EventTail(follow=False, **asked))
    return [event async for event in tail if event is not None]


def kinds(events: list[Event]) -> list[str]:
    return [event.type.removeprefix("mesh.") for event in events]


async def test_an_event_says_what_happened_to_what_and_by_whom(house: Floors) -> None:
    await happen(house, "key.added key_x")
    (event,) = await collect(house)
    assert (event.type, event.subject, event.source) == (
        "mesh.key.added", "key_x", f"/orgs/{house.owner.org}",
    )  # fmt: skip
    assert event.time == "2026-11-23T12:00:01.000000Z"
    assert b'"by":{"id":"usr_' in bytes(event.data).replace(b" ", b"")


async def test_the_cursor(house: Floors) -> None:
    await happen(house, "org.created", "org.renamed", "org.removed", "key.revoked")
    every = await collect(house)
    assert kinds(every) == ["org.created", "org.renamed", "org.removed", "key.revoked"]
    assert [e.meshseq for e in every] == sorted({e.meshseq for e in every})
    assert kinds(await collect(house, after=every[1].meshseq)) == ["org.removed", "key.revoked"]
    assert await collect(house, after=every[-1].meshseq) == []
    assert kinds(await collect(house, after=0, limit=3)) == [
        "org.created",
        "org.renamed",
        "org.removed",
    ]
    assert kinds(await collect(house, since="2s")) == ["org.renamed", "org.removed", "key.revoked"]
    assert kinds(await collect(house, since="2026-11-23T12:00:03Z")) == [
        "org.removed",
        "key.revoked",
    ]


async def test_more_than_a_page(house: Floors) -> None:
    steps = [
        house.events.step(house.owner, "key.rotated", str(n), {"name": "x"})
        for n in range(2 * PAGE)
    ]
    await house.db.write(*steps)
    assert [e.subject for e in await collect(house)] == [str(n) for n in range(2 * PAGE)]
    assert len(await collect(house, filter=[f"subject={2 * PAGE - 1}"])) == 1


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["type=mesh.key.*"], ["key.added one", "key.revoked two"]),
        (["type=mesh.key.*", "subject=two"], ["key.revoked two"]),
        (["subject=*"], ["key.added one", "connection.added one", "key.revoked two"]),
        (["source=/orgs/*"], ["key.added one", "connection.added one", "key.revoked two"]),
        (["type=key.added"], []),
        (["subject="], []),
    ],
    ids=str,
)
async def test_filters(house: Floors, filters: list[str], found: list[str]) -> None:
    await happen(house, "key.added one", "connection.added one", "key.revoked two")
    events = await collect(house, filter=filters)
    assert [f"{kind} {e.subject}" for kind, e in zip(kinds(events), events, strict=True)] == found


@pytest.mark.parametrize(
    "asked",
    [
        {"filter": ["type"]}, {"filter": ["data=x"]}, {"filter": ["=x"]}, {"filter": ["\x1b=x"]}, {"after": -1},
        {"after": 2**63}, {"limit": 0}, {"limit": -1}, {"since": "yesterday"}, {"since": "1h ago"},
    ],
    ids=str,
)  # fmt: skip
async def test_what_cannot_be_followed(house: Floors, asked: dict) -> None:
    """Refused before the first item, so that it has its HTTP status."""
    with pytest.raises(BadRequest) as refused:
        await anext(house.events.tail(house.owner, EventTail(**asked)))
    assert refused.value.message.isprintable()


async def test_following_begins_with_what_happens_next(house: Floors) -> None:
    """And wakes for it at once, not at the next poll."""
    await happen(house, "key.added")
    async with aclosing(house.events.tail(house.owner, EventTail())) as tail:
        assert await anext(tail) is None
        waiting = asyncio.ensure_future(anext(tail))
        await asyncio.sleep(0)
        await happen(house, "key.revoked")
        async with asyncio.timeout(0.9):
            event = await waiting
        assert event is not None
        assert kinds([event]) == ["key.revoked"]
    assert house.events.bell._waiting == set()


async def test_what_happens_while_it_reads_is_not_missed(
    house: Floors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ring between the reading and the waiting still counts."""
    async with aclosing(house.events.tail(house.owner, EventTail())) as tail:
        assert await anext(tail) is None
        await happen(house, "org.created")
        async with asyncio.timeout(0.9):
            event = await anext(tail)
        assert event is not None


async def test_a_limit_ends_a_stream_that_follows(house: Floors) -> None:
    await happen(house, "org.created", "org.renamed", "org.removed")
    tail = house.events.tail(house.owner, EventTail(after=0, limit=2))
    assert kinds([e async for e in tail if e is not None]) == ["org.created", "org.renamed"]


async def test_one_org_never_sees_anothers(house: Floors) -> None:
    from tests.support.principals import key_principal

    await happen(house, "org.created")
    tail = house.events.tail(key_principal(org="org_other"), EventTail(after=0, follow=False))
    assert [event async for event in tail if event is not None] == []


async def test_a_bell_wakes_everyone_and_forgets_them() -> None:
    bell = Bell()
    waiting = [asyncio.ensure_future(bell.wait(60)) for _ in range(3)]
    await asyncio.sleep(0)
    bell.ring()
    await asyncio.gather(*waiting)
    assert bell._waiting == set()
    heard = bell.rung
    bell.ring()
    await bell.wait(60, heard)
    await bell.wait(0)

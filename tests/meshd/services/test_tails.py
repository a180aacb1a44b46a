"""Many who follow the same rows: one of them reads, none misses any, and none holds much."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from meshd.services import tails
from meshd.services.tails import HELD, KEPT, PAGE, Tails, _fitting
from meshd.store.db import Row
from tests.support.floors import Floors, floors

FOLLOWERS = 40


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("dsn")) if request.param == "postgres" else ""


@pytest.fixture
async def house(url: str, tmp_path: Path) -> AsyncIterator[Floors]:
    async with floors(tmp_path, url) as opened:
        yield opened


@pytest.fixture
def asked(house: Floors, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each query was run."""
    counts, run = Counter[str](), house.db.all

    async def all_of(query: str, /, **params: Any) -> list[Row]:
        counts[query] += 1
        return await run(query, **params)

    monkeypatch.setattr(house.db, "all", all_of)
    return counts


@pytest.fixture
def following(house: Floors) -> Tails:
    return Tails("event.after", "event.last", house.scoped, house.events.bell)


async def happen(house: Floors, *sizes: int, ring: bool = True) -> None:
    """One event a size."""
    await house.db.write(*(
        house.events.step(house.owner, "key.rotated", "x", {"name": "x" * size}) for size in sizes
    ))  # fmt: skip
    if ring:
        house.events.bell.ring()


async def seqs(house: Floors) -> list[int]:
    rows = await house.scoped.org(house.owner.org).all("event.after", after=0, limit=5000)
    return [row["seq"] for row in rows]


async def some(rows: AsyncGenerator[Row | None, None], count: int) -> list[int]:
    """The next so many."""
    found: list[int] = []
    while len(found) < count:
        row = await anext(rows)
        found += [] if row is None else [row["seq"]]
    return found


async def caught_up(rows: AsyncGenerator[Row | None, None]) -> None:
    while await anext(rows) is not None:
        pass


async def test_one_reads_for_all_who_have_caught_up(
    house: Floors, following: Tails, asked: Counter[str]
) -> None:
    """Whether a bell rang, or only a poll's time went by."""
    org = house.owner.org
    readers = [following.rows(org, 0, follow=True) for _ in range(FOLLOWERS)]
    for rows in readers:
        await caught_up(rows)
    for number, ring in enumerate((True, True, False), start=1):
        asked.clear()
        waiting = [asyncio.create_task(some(rows, 1)) for rows in readers]
        await asyncio.sleep(0)
        await happen(house, 1, ring=ring)
        async with asyncio.timeout(60):
            found = await asyncio.gather(*waiting)
        assert found == [[number]] * FOLLOWERS
        assert asked["event.after"] <= 4, "and not once a reader"
        for rows in readers:
            await caught_up(rows)
    for rows in readers:
        await rows.aclose()
    assert following._fronts == {}
    assert house.events.bell._waiting == set()


async def test_who_reads_or_waits_for_all_may_leave(house: Floors, following: Tails) -> None:
    """Then another of them does."""
    org = house.owner.org
    first, second = (following.rows(org, 0, follow=True) for _ in range(2))
    await caught_up(first)
    await caught_up(second)
    leaving = asyncio.create_task(anext(first))
    staying = asyncio.create_task(some(second, 1))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await happen(house, 1)
    async with asyncio.timeout(60):
        assert await staying == [1]
    await second.aclose()


@pytest.mark.parametrize("seed", range(4))
async def test_nobody_misses_a_row_however_slow(
    house: Floors, following: Tails, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Who is overtaken by what is kept, reads for itself until it has caught up."""
    monkeypatch.setattr(tails, "FIRST", 3)
    monkeypatch.setattr(tails, "PAGE", 7)
    monkeypatch.setattr(tails, "KEPT", 4000)
    chance, org = random.Random(seed), house.owner.org
    readers = [following.rows(org, 0, follow=True) for _ in range(6)]
    seen: list[list[int]] = [[] for _ in readers]
    for _ in range(25):
        await happen(house, *(chance.choice((1, 900)) for _ in range(chance.randrange(1, 12))))
        for mine, rows in zip(seen, readers, strict=True):
            for _ in range(chance.choice((0, 1, 5, 30))):
                async with asyncio.timeout(60):
                    row = await anext(rows)
                if row is None:
                    break
                mine.append(row["seq"])
    wanted = await seqs(house)
    for mine, rows in zip(seen, readers, strict=True):
        async with aclosing(rows):
            rest = await some(rows, len(wanted) - len(mine))
        assert mine + rest == wanted


async def test_little_is_held_of_large_rows(
    house: Floors, following: Tails, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By who reads slowly, and of what is newest."""
    sizes = [HELD // 2] * 20
    await happen(house, *sizes)
    pages = tails._Pages(house.scoped.org(house.owner.org), "event.after")
    at, count = 0, 0
    while not pages.complete:
        page = await pages.after(at)
        assert sum(map(tails._size, page)) <= HELD
        at, count = page[-1]["seq"], count + len(page)
    assert count == len(sizes)
    rows = following.rows(house.owner.org, at, follow=True)
    await caught_up(rows)
    await happen(house, *sizes)
    assert len(await some(rows, len(sizes))) == len(sizes)
    front = following._fronts[house.owner.org]
    assert 0 < sum(map(tails._size, front._rows)) == front._bytes <= KEPT
    await rows.aclose()


@pytest.mark.parametrize(
    ("sizes", "held"),
    [([], 0), ([1], 1), ([999_999], 1), ([10, 999_999], 1), ([999_999, 1], 1), ([1] * 50, 50)],
)
def test_what_fits(sizes: list[int], held: int) -> None:
    """One row at least, so that nobody stands still."""
    assert _fitting([{"data": "x" * size} for size in sizes], HELD) == held


async def test_all_that_is_there_is_given_once_where_nobody_follows(
    house: Floors, following: Tails, asked: Counter[str]
) -> None:
    await happen(house, *[1] * (2 * PAGE + 1))
    asked.clear()
    found = [row["seq"] async for row in following.rows(house.owner.org, 0, follow=False) if row]
    assert found == await seqs(house)
    assert asked["event.after"] < 10

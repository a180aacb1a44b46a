"""A claim costs the same however many deliveries of one key wait: counted in the database's steps.

On SQLite in its own steps, on Postgres in the rows that the plan says it went through.
"""

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import asyncpg
import pytest

from meshd.bus.queue import WINDOW
from meshd.store import migrate
from meshd.store.opening import FOLDERS, SQL
from meshd.store.queries import Queries
from tests.support import simulation
from tests.support.simulation import ORG, QUERIES

CLAIM = ("delivery.due", "delivery.line_up", "delivery.claim")
GIVEN = {
    "subscription": "sub_0", "now": 10, "until": 20, "lease_owner": "run", "limit": 8,
    "window": WINDOW, "org_id": ORG,
}  # fmt: skip


def one_key(number: int) -> str:
    """All in one line."""
    return "k"


def no_key(number: int) -> None:
    """In no order."""


def own_keys(number: int) -> str:
    """Nobody in a line."""
    return f"k{number}"


@pytest.fixture
def link() -> Iterator[sqlite3.Connection]:
    link = sqlite3.connect(":memory:", isolation_level=None)
    simulation._template().backup(link)
    yield link
    link.close()


def fill(link: sqlite3.Connection, count: int, key: Callable[[int], str | None]) -> None:
    """So many deliveries of events, each due a moment after the one before."""
    numbers = range(1, count + 1)
    link.execute("BEGIN")
    link.executemany(
        "INSERT INTO events (seq, org_id, id, type, source, time, data)"
        " VALUES (?, ?, ?, 't', '/', 0, '')",
        [(number, ORG, f"evt_{number}") for number in numbers],
    )
    link.executemany(
        "INSERT INTO deliveries (id, org_id, event_seq, subscription_id, subscription, state,"
        " available_at, waits_from, created_at, order_key) VALUES (?, ?, ?, 'sub_0', 's', 'ready',"
        " 1, 1, 0, ?)",
        [(f"dlv_{number}", ORG, number, key(number)) for number in numbers],
    )
    link.execute("COMMIT")


def claim(link: sqlite3.Connection) -> tuple[int, int]:
    """Deliveries that are taken, and the steps of the database for it."""
    count = 0

    def step() -> None:
        nonlocal count
        count += 1

    link.set_progress_handler(step, 1)
    for name in CLAIM:
        query = QUERIES.query(name)
        rows = link.execute(query.sql, query.bind(GIVEN)).fetchall()
    link.set_progress_handler(None, 0)
    return len(rows), count


@pytest.mark.parametrize(("key", "taken"), [(one_key, 1), (own_keys, 8), (no_key, 8)])
def test_a_claim_costs_no_more_beside_a_long_line(
    key: Callable[[int], str | None], taken: int, link: sqlite3.Connection
) -> None:
    """The first, which finds the line, and those after it."""
    fill(link, 5 * WINDOW, key)
    short = [claim(link) for _ in range(3)]
    link.executescript("DELETE FROM deliveries; DELETE FROM events;")
    fill(link, 20_000, key)
    long = [claim(link) for _ in range(3)]
    assert short[0][0] == long[0][0] == taken
    assert all(many < few * 1.2 for (_, few), (_, many) in zip(short, long, strict=True))


def test_whoever_stands_behind_a_long_line_has_its_turn(link: sqlite3.Connection) -> None:
    """And those of the line one after the other, in order."""
    length = 3 * WINDOW
    fill(link, length, lambda number: "other" if number == length else "k")
    taken = []
    for _ in range(length):
        claim(link)
        held = link.execute("SELECT id FROM deliveries WHERE state = 'inflight'").fetchall()
        taken += [name for (name,) in held]
        link.executemany(
            "UPDATE deliveries SET state = 'done', available_at = NULL WHERE id = ?", held
        )
        if len(taken) == length:
            break
    assert taken.index(f"dlv_{length}") <= length // WINDOW + 1
    taken.remove(f"dlv_{length}")
    assert taken == [f"dlv_{number}" for number in range(1, length)]


@pytest.fixture
async def links(dsn: str) -> AsyncIterator[tuple[Any, Any]]:
    """Two connections to an empty bus."""
    one, other = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    for link in (one, other):
        await link.execute("SELECT set_config('meshctl.org', '*', false)")
    for folder in FOLDERS:
        for migration in migrate.discover(folder, "postgres"):
            await one.execute(migration.script)
    await one.execute(f"INSERT INTO orgs (id, name, created_at) VALUES ('{ORG}', 'o', 0)")
    yield one, other
    await one.close()
    await other.close()


async def line(link: Any, count: int) -> None:
    """So many deliveries of one key."""
    await link.execute(
        "INSERT INTO events (org_id, id, type, source, time, data)"
        f" SELECT '{ORG}', 'evt_' || n, 't', '/', 0, '' FROM generate_series(1, {count}) AS n"
    )
    await link.execute(
        "INSERT INTO deliveries (id, org_id, event_seq, subscription_id, subscription, state,"
        " available_at, waits_from, created_at, order_key) SELECT 'dlv_' || seq, org_id, seq,"
        " 'sub_0', 's', 'ready', 1, 1, 0, 'k' FROM events"
    )
    await link.execute("ANALYZE deliveries")


async def test_a_claim_on_postgres_goes_through_few_rows(links: tuple[Any, Any]) -> None:
    """Where NOT EXISTS would be planned as a join with all of the line."""
    await line(links[0], 20_000)
    for name in CLAIM * 2:
        assert await visited(links[0], name) < 10 * WINDOW, name


@pytest.mark.parametrize("ends_first", [True, False])
async def test_nobody_is_left_in_a_line_whose_first_ends_meanwhile(
    ends_first: bool, links: tuple[Any, Any]
) -> None:
    """One daemon ends it, and another lines up who stands behind it."""
    one, other = links
    await line(one, 2)
    query = Queries.load(SQL, "postgres").query("delivery.line_up")
    end = "UPDATE deliveries SET state = 'done', available_at = NULL WHERE id = 'dlv_1'"
    if ends_first:
        async with one.transaction():
            await one.execute(end)
            assert await other.fetch(query.numbered, *query.bind(GIVEN).values()) == []
    else:
        async with one.transaction():
            assert await one.fetch(query.numbered, *query.bind(GIVEN).values())
            ending = asyncio.create_task(other.execute(end))
            assert not (await asyncio.wait([ending], timeout=0.2))[0], "it waits for the other"
        await ending
    assert await one.fetchval("SELECT behind FROM deliveries WHERE id = 'dlv_2'") == 0


async def visited(link: Any, name: str) -> float:
    """Rows that the nodes of a plan went through, those that they threw away too."""
    query = Queries.load(SQL, "postgres").query(name)
    text = re.sub(r"\s+", " ", query.numbered)
    rows = await link.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}", *query.bind(GIVEN).values())
    return rows_of(json.loads(rows[0][0])[0]["Plan"])


def rows_of(plan: dict[str, Any]) -> float:
    removed = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Join Filter", 0)
    mine = (plan["Actual Rows"] + removed) * plan["Actual Loops"]
    return max([mine, *(rows_of(one) for one in plan.get("Plans", ()))])

"""Hints between daemons: who hears whom, how often, and what holds when one is lost."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, NamedTuple

import asyncpg
import pytest

from meshd.core.clock import SystemClock
from meshd.services import directory
from meshd.services.directory import Directory
from meshd.store.db import StoreError, StoreUnavailable
from meshd.store.opening import MIGRATIONS, SQL
from meshd.store.postgres import PostgresDatabase
from meshd.store.postgres_signals import DEBOUNCE
from meshd.store.queries import Queries
from tests.meshd.store.activity import cut, eventually
from tests.meshd.store.model import add, bump

Opening = Callable[..., Awaitable["Daemon"]]


class Ear:
    """Keeps what it heard."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self._news = asyncio.Event()

    def hear(self, what: Any = None) -> None:
        self.heard.append(what)
        self._news.set()

    async def until(self, count: int) -> None:
        """Until it heard so many."""
        async with asyncio.timeout(10):
            while len(self.heard) < count:
                await self._news.wait()
                self._news.clear()


class Daemon(NamedTuple):
    """A database as a daemon has it, what it hears, and who it is for the server."""

    database: PostgresDatabase
    ear: Ear
    sender: int


async def overhear(dsn: str) -> tuple[asyncpg.Connection, Ear]:
    """A connection that hears every hint of a schema, each as its sender."""
    ear = Ear()
    connection = await asyncpg.connect(dsn, server_settings={"application_name": "ear"})
    channel = await connection.fetchval("SELECT format('meshd.%s', current_schema())")
    await connection.add_listener(channel, lambda _, sender, *__: ear.hear(sender))
    return connection, ear


@pytest.fixture
async def wire(dsn):
    """All hints in the schema of this test."""
    connection, ear = await overhear(dsn)
    yield ear
    await connection.close()


@pytest.fixture
async def open_daemon(dsn, queries, migrations):
    """Begins one more daemon. When it is there, all have heard what a beginning brings about."""
    daemons: list[tuple[str, Ear]] = []
    async with AsyncExitStack() as stack:

        async def opened(dsn=dsn):
            beside, wire = await overhear(dsn)
            stack.push_async_callback(beside.close)
            before = [len(ear.heard) for _, ear in daemons]
            database = await PostgresDatabase.open(dsn, queries, migrations=[migrations])
            stack.push_async_callback(database.close)
            ear = Ear()
            database.on_change(ear.hear)
            await database.migrate()
            await wire.until(1)
            await ear.until(1)
            for (where, other), count in zip(daemons, before, strict=True):
                await other.until(count + (where == dsn))
            daemons.append((dsn, ear))
            return Daemon(database, ear, wire.heard[0])

        yield opened


async def test_a_write_is_heard_by_the_others_and_not_by_oneself(open_daemon: Opening):
    writer, first, second = [await open_daemon() for _ in range(3)]
    before = [len(daemon.ear.heard) for daemon in (writer, first, second)]
    await writer.database.write(add("a"))
    await first.ear.until(before[1] + 1)
    await second.ear.until(before[2] + 1)
    await first.database.write_many("thing.add", [{"name": "b", "count": 1}])
    await writer.ear.until(before[0] + 1)
    await second.ear.until(before[2] + 2)
    heard = [len(daemon.ear.heard) for daemon in (writer, first, second)]
    assert heard == [before[0] + 1, before[1] + 1, before[2] + 2]


async def test_a_failed_write_and_a_read_say_nothing(open_daemon: Opening, wire):
    silent, other = await open_daemon(), await open_daemon()
    await wire.until(2)
    await silent.database.all("thing.all")
    with pytest.raises(StoreError):
        await silent.database.write(bump("absent"))
    await other.database.write(add("a"))
    await wire.until(3)
    assert wire.heard == [silent.sender, other.sender, other.sender]


async def test_many_writes_are_one_hint_a_while_and_one_at_the_end(open_daemon: Opening, wire):
    writer = (await open_daemon()).database
    await wire.until(1)
    began = time.monotonic()
    await writer.write(add("a"))
    for _ in range(200):
        await writer.write(bump("a"))
    told = len(wire.heard)
    await wire.until(told + 1)
    assert told <= (time.monotonic() - began) / DEBOUNCE + 2


async def test_hints_stay_in_their_schema(open_daemon: Opening, other_dsn):
    writer = await open_daemon()
    stranger, neighbour = await open_daemon(other_dsn), await open_daemon(other_dsn)
    before = len(stranger.ear.heard)
    await writer.database.write(add("a"))
    await neighbour.database.write(add("a"))
    await stranger.ear.until(before + 1)
    assert len(stranger.ear.heard) == before + 1


async def test_what_a_lost_connection_missed_is_made_up_for(open_daemon: Opening, admin, caplog):
    """Each rings once it hears again, and tells the others in case they missed its hints."""
    first, second = await open_daemon(), await open_daemon()
    before = [len(daemon.ear.heard) for daemon in (first, second)]
    await cut(admin)
    await first.ear.until(before[0] + 1)
    await second.ear.until(before[1] + 1)
    assert "polling goes on" in caplog.text
    before = [len(daemon.ear.heard) for daemon in (first, second)]

    async def heard_again() -> bool:
        with suppress(StoreUnavailable):  # connections of the pool were cut as well
            await second.database.write(add(f"n{time.monotonic_ns()}"))
        return len(first.ear.heard) > before[0]

    await eventually(heard_again)


@pytest.mark.parametrize("way", ["relaxed", "bouncer"])
async def test_some_databases_have_no_hints(
    open_daemon: Opening, wire, dsn, queries, migrations, way
):
    """What is written relaxed is nothing to act upon, and a bouncer passes no hints on."""
    other = await open_daemon()
    await wire.until(1)
    if way == "bouncer":
        dsn = f"{dsn}&pgbouncer=true"
    silent = await PostgresDatabase.open(
        dsn, queries, migrations=[migrations], relaxed=way == "relaxed"
    )
    ear = Ear()
    silent.on_change(ear.hear)
    await silent.write(add("a"))
    await other.database.write(add("b"))
    await wire.until(2)
    await silent.close()
    assert wire.heard == [other.sender, other.sender]
    assert ear.heard == []


async def test_a_snapshot_sees_what_nobody_told_of(dsn, admin, monkeypatch):
    """The writer is no daemon, so there is no hint: the poll is the truth."""
    monkeypatch.setattr(directory, "POLL", 0.02)
    folders = [MIGRATIONS / "main", MIGRATIONS / "calls"]
    database = await PostgresDatabase.open(dsn, Queries.load(SQL, "postgres"), migrations=folders)
    await database.migrate()
    seen = Directory(database, SystemClock())
    await seen.refresh()
    fresh = asyncio.ensure_future(seen.keep_fresh())
    try:
        await admin.execute("INSERT INTO orgs (id, name, created_at) VALUES ('org_1', 'one', 1)")
        await admin.execute("INSERT INTO revisions (topic, n) VALUES ('orgs', 1)")

        async def orgs():
            return seen.view.orgs

        await eventually(orgs, {"org_1": "one"})
    finally:
        fresh.cancel()
        await asyncio.gather(fresh, return_exceptions=True)
        await database.close()


async def test_closing_ends_the_task(open_daemon: Opening):
    def names() -> list[str]:
        return [task.get_name() for task in asyncio.all_tasks()]

    daemon = await open_daemon()
    assert "store.signals" in names()
    await daemon.database.close()
    assert "store.signals" not in names()

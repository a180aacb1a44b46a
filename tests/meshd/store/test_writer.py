"""The writer thread alone: groups, faults, back-pressure, cancellation, the end."""

import asyncio
import sqlite3
import threading
from contextlib import asynccontextmanager
from functools import partial

import pytest

from meshd.store.db import StoreError, StoreUnavailable
from meshd.store.sqlite import connect_writer
from meshd.store.writer import GROUP_LIMIT, Writer

DEADLINE = 10.0


class Faulty:
    """A connection that fails at the next statement of a given text, as a bad disk would."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.fails_at = ""
        self.code = sqlite3.SQLITE_IOERR_FSYNC

    def __getattr__(self, name):
        return getattr(self.connection, name)

    def execute(self, sql, *args):
        if sql == self.fails_at:
            self.fails_at = ""
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = self.code
            raise error
        return self.connection.execute(sql, *args)


def faulty(*args, **options) -> Faulty:
    return Faulty(connect_writer(*args, **options))


def fail_at(sql: str, connection: Faulty) -> None:
    connection.fails_at = sql


class Gate:
    """Holds the writer inside a unit, so that what is submitted meanwhile forms a group."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.entered = threading.Event()
        self.released = threading.Event()

    def _hold(self, _connection):
        self.entered.set()
        assert self.released.wait(DEADLINE)

    async def __aenter__(self):
        self.unit = asyncio.ensure_future(self.writer.submit(self._hold))
        assert await asyncio.to_thread(self.entered.wait, DEADLINE)
        return self

    async def __aexit__(self, *_):
        self.released.set()
        await self.unit


def insert(n: int, connection) -> int:
    connection.execute("INSERT INTO t (n) VALUES (?)", (n,))
    return n


def fail(_connection) -> None:
    raise StoreError("this unit fails")


def rows(connection) -> list[int]:
    return [row["n"] for row in connection.execute("SELECT n FROM t ORDER BY rowid")]


@asynccontextmanager
async def opened(tmp_path, connect=connect_writer, **limits):
    path = tmp_path / "mesh.db"
    writer = await Writer.open(partial(connect, path, durable=True, busy_ms=20), **limits)
    try:
        await writer.submit(lambda c: c.execute("CREATE TABLE IF NOT EXISTS t (n INT UNIQUE)"))
        yield writer
    finally:
        await writer.close()


async def submit_all(writer, *works):
    """Submit in order, and return the running tasks once each is queued or waits for a place."""
    tasks = [asyncio.ensure_future(writer.submit(work)) for work in works]
    await asyncio.sleep(0)
    return tasks


async def test_units_that_wait_share_commits(tmp_path):
    async with opened(tmp_path) as writer:
        before = writer.commits
        async with Gate(writer):
            tasks = await submit_all(writer, *(partial(insert, n) for n in range(GROUP_LIMIT * 3)))
        assert await asyncio.gather(*tasks) == list(range(GROUP_LIMIT * 3))
        assert writer.commits - before == 4
        assert await writer.submit(rows) == list(range(GROUP_LIMIT * 3))


async def test_the_loop_is_woken_once_a_group(tmp_path, monkeypatch):
    async with opened(tmp_path) as writer:
        loop = asyncio.get_running_loop()
        calls = []
        call_soon = loop.call_soon_threadsafe
        async with Gate(writer):
            tasks = await submit_all(writer, *(partial(insert, n) for n in range(100)))
            monkeypatch.setattr(
                loop, "call_soon_threadsafe", lambda *a: (calls.append(a), call_soon(*a))[1]
            )
        await asyncio.gather(*tasks)
        assert len(calls) == 2, "one for the gate, one for the hundred"
        monkeypatch.undo()


async def test_everything_runs_on_one_thread(tmp_path):
    async with opened(tmp_path) as writer:
        idents = {await writer.submit(lambda _: threading.get_ident()) for _ in range(5)}
        assert len(idents) == 1
        assert threading.get_ident() not in idents


async def test_a_failing_unit_leaves_its_group_in_order_and_shared(tmp_path):
    async with opened(tmp_path) as writer:
        before = writer.commits
        works = [fail if n == 37 else partial(insert, n) for n in range(GROUP_LIMIT)]
        async with Gate(writer):
            tasks = await submit_all(writer, *works)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [n for n, answer in enumerate(answers) if isinstance(answer, StoreError)] == [37]
        assert await writer.submit(rows) == [n for n in range(GROUP_LIMIT) if n != 37]
        assert writer.commits - before < 12


async def test_a_unit_that_rolls_back_by_itself_costs_only_itself(tmp_path):
    """After ON CONFLICT ROLLBACK the neighbours must not run outside a transaction."""

    def roll_back(connection):
        connection.execute("INSERT OR ROLLBACK INTO t (n) VALUES (0)")

    async with opened(tmp_path) as writer:
        await writer.submit(partial(insert, 0))
        async with Gate(writer):
            tasks = await submit_all(
                writer, partial(insert, 1), roll_back, partial(insert, 2), fail
            )
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(answer, StoreError) for answer in answers] == [False, True, False, True]
        assert await writer.submit(rows) == [0, 1, 2]


async def test_a_failed_sync_fails_its_group_and_ends_the_writer(tmp_path):
    async with opened(tmp_path, faulty) as writer:
        async with Gate(writer):
            inserts = await submit_all(writer, *(partial(insert, n) for n in range(200)))
            breaks = await submit_all(writer, partial(fail_at, "COMMIT"))
        answers = await asyncio.gather(*inserts, *breaks, return_exceptions=True)
        # The disk fails under the second group: the first one is durable and says so.
        assert answers[:GROUP_LIMIT] == list(range(GROUP_LIMIT))
        assert {type(answer) for answer in answers[GROUP_LIMIT:]} == {StoreUnavailable}
        with pytest.raises(StoreUnavailable, match="must be reopened"):
            await writer.submit(partial(insert, 1000))
    async with opened(tmp_path) as writer:
        assert await writer.submit(rows) == list(range(GROUP_LIMIT))


async def test_what_is_queued_behind_a_failed_sync_is_refused_too(tmp_path):
    async with opened(tmp_path, faulty) as writer:
        async with Gate(writer):
            tasks = await submit_all(
                writer,
                partial(fail_at, "COMMIT"),
                *(partial(insert, n) for n in range(GROUP_LIMIT * 2)),
            )
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(answer) for answer in answers} == {StoreUnavailable}
    async with opened(tmp_path) as writer:
        assert await writer.submit(rows) == []


async def test_what_cannot_be_undone_ends_the_writer(tmp_path):
    def half(connection):
        insert(1, connection)
        fail_at("ROLLBACK", connection)
        connection.code = sqlite3.SQLITE_ERROR
        raise StoreError("this unit fails")

    async with opened(tmp_path, faulty) as writer:
        for work in (half, partial(insert, 2)):
            with pytest.raises(StoreUnavailable):
                await writer.submit(work)
    async with opened(tmp_path) as writer:
        assert await writer.submit(rows) == []


async def test_a_unit_holds_the_write_lock_from_its_start(tmp_path):
    """Else what it reads could be changed by another process before it writes."""
    async with opened(tmp_path) as writer, Gate(writer):
        other = sqlite3.connect(tmp_path / "mesh.db", isolation_level=None, timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()


async def test_a_lock_held_by_another_process_fails_the_group_and_no_more(tmp_path):
    async with opened(tmp_path) as writer:
        other = sqlite3.connect(tmp_path / "mesh.db", isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="SQLITE_BUSY"):
                await writer.submit(partial(insert, 1))
            other.execute("ROLLBACK")
        finally:
            other.close()
        await writer.submit(partial(insert, 2))
        assert await writer.submit(rows) == [2]


async def test_a_full_disk_fails_the_group_and_no_more(tmp_path):
    def fill(connection):
        connection.execute("CREATE TABLE big AS SELECT zeroblob(1000000) AS b")

    async with opened(tmp_path) as writer:
        limit = await writer.submit(
            lambda c: c.execute("PRAGMA max_page_count").fetchone()["max_page_count"]
        )
        await writer.submit(lambda c: c.execute("PRAGMA max_page_count=10").fetchall())
        with pytest.raises(StoreUnavailable, match="SQLITE_FULL"):
            await writer.submit(fill)
        await writer.submit(lambda c: c.execute(f"PRAGMA max_page_count={limit}").fetchall())
        await writer.submit(fill)


async def test_a_full_queue_makes_callers_wait(tmp_path):
    async with opened(tmp_path, queue_limit=3) as writer:
        async with Gate(writer):
            tasks = await submit_all(writer, *(partial(insert, n) for n in range(10)))
            assert writer._queue.qsize() == 2, "the gate holds the third place"
        assert await asyncio.gather(*tasks) == list(range(10))
        assert await writer.submit(rows) == list(range(10))


async def test_cancelled_callers_give_their_places_back(tmp_path):
    """Neither one that is queued nor one that waits for a place takes it away for good."""
    async with opened(tmp_path, queue_limit=3) as writer:
        for _ in range(4):
            async with Gate(writer):
                tasks = await submit_all(writer, *(lambda _: None for _ in range(6)))
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
        async with asyncio.timeout(DEADLINE):
            await writer.submit(rows)  # what was cancelled is through, not in the gate's group
            async with Gate(writer):
                tasks = await submit_all(writer, partial(insert, 0), partial(insert, 1))
                assert writer._queue.qsize() == 2
        await asyncio.gather(*tasks)


async def test_close_finishes_what_is_queued_and_refuses_who_waits(tmp_path):
    async with opened(tmp_path, queue_limit=4) as writer:
        async with Gate(writer):
            tasks = await submit_all(writer, *(partial(insert, n) for n in range(9)))
            closing = asyncio.ensure_future(writer.close())
            await asyncio.sleep(0)
        await closing
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert answers[:3] == [0, 1, 2]
        assert {type(answer) for answer in answers[3:]} == {StoreUnavailable}
        assert not writer._thread.is_alive()
    async with opened(tmp_path) as writer:
        assert await writer.submit(rows) == [0, 1, 2]


async def test_a_failing_connect_is_told_and_leaves_no_thread(tmp_path):
    def connect():
        raise StoreError("no such disk")

    before = threading.active_count()
    with pytest.raises(StoreError, match="no such disk"):
        await Writer.open(connect)
    for thread in threading.enumerate():
        if thread.name == "store-writer":
            thread.join(DEADLINE)
    assert threading.active_count() == before

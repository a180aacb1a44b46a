"""What is SQLite's own: files and their modes, pragmas, migrations in the file, crashes."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshd.store import intact, sqlite
from meshd.store.db import Step, StoreDamaged, StoreError, StoreUnavailable, UniqueViolation
from meshd.store.queries import Queries
from meshd.store.sqlite import READERS, SqliteDatabase
from tests.meshd.store.model import UNITS, add, as_step, bump, modelled, outcomes, things

HERE = Path(__file__).parent


@pytest.fixture
async def open_database(tmp_path, queries, migrations):
    """Opens `mesh.db`, or what is given, and closes it at the end at the latest."""
    async with AsyncExitStack() as stack:

        async def opened(path=tmp_path / "mesh.db", queries=queries, **options):
            database = await SqliteDatabase.open(path, queries, migrations=migrations, **options)
            stack.push_async_callback(database.close)
            return database

        yield opened


@pytest.fixture
async def database(open_database):
    """A migrated database."""
    opened = await open_database()
    await opened.migrate()
    return opened


@pytest.fixture
async def open_with(tmp_path, open_database):
    """Opens `x.db` with the queries of a text."""

    async def opened(text: str):
        folder = tmp_path / "other"
        folder.mkdir()
        (folder / "x.sql").write_text(text)
        return await open_database(tmp_path / "x.db", Queries.load(folder))

    return opened


def child(script: str, folder: Path, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, HERE / script, folder],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        **options,
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@asynccontextmanager
async def held(database: SqliteDatabase):
    """The writer is inside a unit for as long as the block runs."""
    entered, released = threading.Event(), threading.Event()

    def hold(_connection):
        entered.set()
        assert released.wait(10)

    unit = asyncio.ensure_future(database._writer.submit(hold))
    assert await asyncio.to_thread(entered.wait, 10)
    try:
        yield
    finally:
        released.set()
        await unit


async def pragma(database: SqliteDatabase, name: str) -> object:
    """A pragma of the writing connection."""
    row = await database._writer.submit(lambda c: c.execute(f"PRAGMA {name}").fetchone())
    return row[name] if name in row else next(iter(row.values()))


class TestFiles:
    @pytest.mark.parametrize("umask", [0, 0o022, 0o777])
    async def test_files_are_the_owners_alone_whatever_the_umask(
        self, tmp_path, open_database, umask
    ):
        before = os.umask(umask)
        try:
            database = await open_database()
            await database.migrate()
        finally:
            os.umask(before)
        files = sorted(tmp_path.glob("mesh.db*"))
        assert {path.name: mode(path) for path in files} == {
            "mesh.db": 0o600,
            "mesh.db.seal": 0o600,
            "mesh.db-shm": 0o600,
            "mesh.db-wal": 0o600,
        }

    async def test_a_created_file_is_made_durable_in_its_directory(
        self, tmp_path, open_database, monkeypatch
    ):
        synced = []
        fsync = os.fsync
        monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.fstat(fd).st_ino), fsync(fd)))
        database = await open_database()
        assert synced[0] == tmp_path.stat().st_ino
        await database.close()

    async def test_close_leaves_one_file_with_its_seal_and_no_thread(self, tmp_path, open_database):
        before = set(threading.enumerate())
        database = await open_database()
        await database.migrate()
        await database.write(Step("thing.add", {"name": "a", "count": 1}))
        started = set(threading.enumerate()) - before
        await database.close()
        for thread in started:
            if "asyncio" not in thread.name:  # the loop's own executor outlives us
                thread.join(5)
                assert not thread.is_alive()
        assert {path.name for path in tmp_path.glob("mesh.db*")} == {"mesh.db", "mesh.db.seal"}

    async def test_a_path_is_no_uri(self, tmp_path, open_database):
        path = tmp_path / "a?mode=memory#b%20c d.db"
        database = await open_database(path)
        await database.migrate()
        await database.write(Step("thing.add", {"name": "a", "count": 1}))
        assert await database.one("thing.get", name="a")
        assert path.stat().st_size > 0

    async def test_what_cannot_be_opened_is_told(self, tmp_path, open_database):
        (tmp_path / "text.db").write_text("no database " * 1000)
        for path in (tmp_path / "text.db", tmp_path / "absent" / "mesh.db", tmp_path):
            with pytest.raises(StoreUnavailable) as failure:
                await open_database(path)
            assert str(path) in str(failure.value)


class TestConnections:
    @pytest.mark.parametrize(
        ("durable", "expected"),
        [
            (True, {"synchronous": 2, "fullfsync": 1, "checkpoint_fullfsync": 1}),
            (False, {"synchronous": 1, "fullfsync": 0, "checkpoint_fullfsync": 0}),
        ],
    )
    async def test_the_writer_is_set_up_for_its_promise(self, open_database, durable, expected):
        database = await open_database(durable=durable)
        always = {
            "journal_mode": "wal",
            "foreign_keys": 1,
            "secure_delete": 1,
            "busy_timeout": 5000,
            "wal_autocheckpoint": 0,
        }
        found = {name: await pragma(database, name) for name in always | expected}
        assert found == always | expected

    async def test_readers_cannot_write(self, database):
        with pytest.raises(StoreError, match=r"^thing\.add: SQLITE_READONLY"):
            await database.all("thing.add", name="a", count=1)

    async def test_readers_do_not_wait_for_the_writer(self, database):
        async with held(database):
            assert await database.all("thing.all") == []

    async def test_many_callers_share_few_commits(self, database):
        before = database.commits
        steps = [Step("thing.add", {"name": f"n{at}", "count": at}) for at in range(500)]
        async with held(database):
            writes = [asyncio.ensure_future(database.write(step)) for step in steps]
            await asyncio.sleep(0)
        await asyncio.gather(*writes)
        assert len(await database.all("thing.all")) == 500
        assert database.commits - before == 5, "the holding one, then 128 at a time"

    async def test_a_read_that_waits_while_the_database_closes_is_refused(self, database):
        readers = [database._idle.get_nowait() for _ in range(READERS)]
        reads = [asyncio.ensure_future(database.all("thing.all")) for _ in range(3)]
        await asyncio.sleep(0)
        await database.close()
        for reader in readers:
            database._idle.put_nowait(reader)
        answers = await asyncio.gather(*reads, return_exceptions=True)
        assert {type(answer) for answer in answers} == {StoreUnavailable}

    async def test_readers_are_read_only_twice_over(self, database):
        reader = database._idle.get_nowait()
        assert await reader.execute_fetchall("PRAGMA query_only") == [{"query_only": 1}]
        await reader.execute_fetchall("PRAGMA query_only=OFF")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await reader.execute_fetchall("DELETE FROM things")

    async def test_a_flawed_statement_is_explained_on_both_sides(self, open_with):
        database = await open_with(
            "-- name: x.read\n-- Flawed.\nSELECT * FROM nowhere WHERE a = :a\n"
            "-- name: x.write\n-- Flawed.\nDELETE FROM nowhere WHERE a = :a\n"
        )
        with pytest.raises(StoreError, match=r"^x\.read: no such table: nowhere$"):
            await database.all("x.read", a=1)
        with pytest.raises(StoreError, match=r"^x\.write: no such table: nowhere$"):
            await database.write(Step("x.write", {"a": 1}))

    async def test_a_value_in_the_librarys_text_is_left_out(self, open_with):
        """A JSON path is quoted in SQLite's message, and here it is a caller's value."""
        database = await open_with(
            "-- name: x.pick\n-- Picks.\nSELECT json_extract('{}', :path) AS it\n"
        )
        for attempt in (
            lambda: database.all("x.pick", path="hunter2"),
            lambda: database.write(Step("x.pick", {"path": "hunter2"})),
        ):
            with pytest.raises(StoreError, match=r"^x\.pick: SQLITE_ERROR$"):
                await attempt()


class TestOrder:
    async def test_units_see_those_before_them(self, database):
        answers = await outcomes(database, [add("a")], *[[bump("a")] for _ in range(40)])
        assert [answer[0][0]["count"] for answer in answers[1:]] == list(range(1, 41))

    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(units=st.lists(UNITS, max_size=30))
    async def test_units_at_once_equal_units_one_by_one(self, database, units):
        """Whatever shares a commit with whatever fails, the end is that of a plain dictionary."""
        await database.write(Step("thing.clear"))
        state: dict[str, int] = {}
        expected = []
        for unit in units:
            after = modelled(state, unit)
            expected.append(after is not None)
            state = state if after is None else after
        answers = await outcomes(database, *[[as_step(*part) for part in unit] for unit in units])
        assert [not isinstance(answer, StoreError) for answer in answers] == expected
        assert await things(database) == state


class TestMigrations:
    async def test_a_trigger_is_one_statement(self, open_database, migrations):
        (migrations / "0200_trigger.sql").write_text(
            "CREATE TRIGGER twice AFTER INSERT ON things BEGIN\n"
            "  UPDATE things SET count = count * 2 WHERE name = NEW.name;\n"
            "  UPDATE things SET count = count + 1 WHERE name = NEW.name;\n"
            "END;\n-- the end\n"
        )
        database = await open_database()
        await database.migrate()
        await database.write(Step("thing.add", {"name": "a", "count": 5}))
        assert await database.one("thing.get", name="a") == {"name": "a", "count": 11}


class TestCrashes:
    async def test_what_was_acknowledged_survives_a_kill(self, tmp_path, open_database):
        process = child("acking_process.py", tmp_path)
        with process:
            acked = [process.stdout.readline() for _ in range(300)]
            process.kill()
            acked += process.stdout.readlines()
        numbers = {int(line) for line in acked if line.endswith("\n")}
        log = tmp_path / "mesh.db-wal"
        assert log.stat().st_size > 0
        database = await open_database()
        assert log.stat().st_size == 0, "the log goes into the file before anything new is written"
        stored = {row["count"] for row in await database.all("thing.all")}
        assert len(numbers) >= 300
        assert numbers <= stored
        with pytest.raises(UniqueViolation):
            await database.write(Step("thing.add", {"name": "n0", "count": 0}))

    async def test_a_disk_that_failed_once_is_not_trusted_again(self, tmp_path, open_database):
        with child("failing_disk_process.py", tmp_path) as process:
            told = process.stdout.read().splitlines()
        assert told == [
            "before written",
            "during the write failed: SQLITE_IOERR_WRITE",
            "after the database failed to write and must be reopened",
        ]
        database = await open_database()
        assert [row["name"] for row in await database.all("thing.all")] == ["before"]


class TestSeal:
    """A seal stands beside the file whenever the file is not being written to."""

    @pytest.fixture(autouse=True)
    def small_log(self, monkeypatch):
        """So that a few megabytes make it grow."""
        monkeypatch.setattr(sqlite, "LOG_LIMIT", 4 * 1024 * 1024)

    async def test_it_holds_through_use_growth_and_close(self, tmp_path, open_database):
        path = tmp_path / "mesh.db"
        database = await open_database()
        await database.migrate()
        assert intact.check(path, log=True)
        before = path.stat().st_size
        for number in range(9):
            name = f"{number}" * 600_000
            await database.write(Step("thing.add", {"name": name, "count": 1}))
        await database.write(Step("thing.add", {"name": "last", "count": 1}))
        await database.write(Step("thing.add", {"name": "and after it", "count": 1}))
        assert path.stat().st_size > before + 4_000_000, "the log was moved into the file"
        assert path.with_name("mesh.db-wal").stat().st_size < 4_000_000
        assert intact.check(path, log=True)
        assert intact.seal_of(path).read_text().startswith("in-use ")
        await database.close()
        assert intact.check(path, log=True)
        assert intact.seal_of(path).read_text().startswith("closed ")

    async def test_sqlites_locks_outlive_it(self, tmp_path, open_database):
        """A process that thought itself alone would remove the log under the daemon."""
        database = await open_database()
        await database.migrate()
        for number in range(9):
            name = f"{number}" * 600_000
            await database.write(Step("thing.add", {"name": name, "count": 1}))
        before = (tmp_path / "mesh.db-wal").stat().st_ino
        code = (
            "import sqlite3, sys; link = sqlite3.connect(sys.argv[1]);"
            "print(link.execute('SELECT count(*) FROM things').fetchone()[0]); link.close()"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "mesh.db")], capture_output=True, check=True
        )
        assert done.stdout == b"9\n"
        assert (tmp_path / "mesh.db-wal").stat().st_ino == before

    async def test_a_changed_file_is_not_opened(self, tmp_path, open_database):
        database = await open_database()
        await database.migrate()
        await database.write(Step("thing.add", {"name": "canary", "count": 1}))
        await database.close()
        path = tmp_path / "mesh.db"
        raw = path.read_bytes()
        at = raw.index(b"canary")
        with path.open("r+b") as file:
            file.seek(at)
            file.write(b"C")
        with pytest.raises(StoreDamaged, match=r"mesh\.db: a bit of it changed"):
            await open_database()
        with path.open("r+b") as file:
            file.seek(at)
            file.write(b"c")
        assert await (await open_database()).one("thing.get", name="canary")

    async def test_a_page_that_makes_no_sense_is_found_without_a_seal(
        self, tmp_path, open_database
    ):
        database = await open_database()
        await database.migrate()
        await database.close()
        path = tmp_path / "mesh.db"
        intact.forget(path)
        with path.open("r+b") as file:
            file.seek(4096 + 2)
            file.write(b"\xff\xff\xff")
        with pytest.raises(StoreDamaged, match=r"mesh\.db: "):
            await open_database()

    async def test_a_check_that_takes_too_long_ends(
        self, tmp_path, open_database, monkeypatch, caplog
    ):
        database = await open_database()
        await database.migrate()
        rows = [{"name": f"{number}", "count": 1} for number in range(20_000)]
        await database.write_many("thing.add", rows)
        await database.close()
        intact.forget(tmp_path / "mesh.db")
        monkeypatch.setattr(sqlite, "CHECK_SECONDS", 0.0)
        assert await (await open_database()).one("thing.get", name="1")
        assert "only a part of it was checked" in caplog.text

    async def test_a_reader_in_the_way_holds_up_nobody(self, tmp_path, open_database):
        """The log is moved later then, and the writer waits for no reader."""
        database = await open_database()
        await database.migrate()
        other = sqlite3.connect(tmp_path / "mesh.db", isolation_level=None)
        other.execute("BEGIN")
        other.execute("SELECT * FROM things").fetchall()
        began = time.monotonic()
        for number in range(9):
            name = f"{number}" * 600_000
            await database.write(Step("thing.add", {"name": name, "count": 1}))
        assert time.monotonic() - began < 5
        assert (tmp_path / "mesh.db-wal").stat().st_size > 4_000_000
        other.close()
        for number in range(9, 18):
            name = f"{number}" * 600_000
            await database.write(Step("thing.add", {"name": name, "count": 1}))
        await database.write(Step("thing.add", {"name": "last", "count": 1}))
        await database.write(Step("thing.add", {"name": "and after it", "count": 1}))
        assert (tmp_path / "mesh.db-wal").stat().st_size < 6_000_000

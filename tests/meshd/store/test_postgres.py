"""What is Postgres's own: settings, limits, lost connections, conflicts, migrations side by side."""

import asyncio
import os
import random
import socket
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from meshd.store import postgres, postgres_pool
from meshd.store.db import ExpectFailed, Step, StoreError, StoreUnavailable, UniqueViolation
from meshd.store.postgres import PostgresDatabase
from meshd.store.queries import Queries
from tests.meshd.store.activity import cut, eventually, sessions, waiting
from tests.meshd.store.front import Front
from tests.meshd.store.model import add, bump, things
from tests.support.postgres import with_options

HERE = Path(__file__).parent

QUERIES = """
-- name: pg.setting
-- What holds for the connection.
SELECT current_setting(:name) AS value

-- name: pg.pause
-- Takes its time.
SELECT 1 AS n FROM pg_sleep(CAST(:seconds AS BIGINT))

-- name: pg.lock
-- Waits until nobody else has it.
SELECT 1 AS n FROM pg_advisory_xact_lock(:key)

-- name: pg.flawed
-- There is no such table.
DELETE FROM nowhere WHERE a = :a

-- name: pg.cast
-- The server quotes the value in its text.
SELECT CAST(CAST(:name AS TEXT) AS REGCLASS)::TEXT AS name
"""


@pytest.fixture
def queries(queries: Queries, tmp_path: Path) -> Queries:
    (tmp_path / "sql/pg.sql").write_text(QUERIES)
    return Queries.load(tmp_path / "sql", "postgres")


@pytest.fixture
async def open_database(dsn, queries, migrations):
    """Opens the database of this test, or what is given, and closes it at the end at the latest."""
    async with AsyncExitStack() as stack:

        async def opened(dsn=dsn, **options):
            database = await PostgresDatabase.open(dsn, queries, migrations=[migrations], **options)
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
async def front(dsn):
    """The same server over TCP."""
    opened = await Front.open(dsn)
    yield opened
    await opened.close()


@asynccontextmanager
async def held(admin):
    """The key of a lock that somebody else has for as long as the block runs."""
    key = random.getrandbits(62)
    await admin.execute("SELECT pg_advisory_lock($1)", key)
    try:
        yield key
    finally:
        await admin.execute("SELECT pg_advisory_unlock($1)", key)


def lock(key: int) -> Step:
    return Step("pg.lock", {"key": key})


class TestConnections:
    @pytest.mark.parametrize(("relaxed", "commit"), [(False, "on"), (True, "off")])
    async def test_each_is_set_up_for_its_promise(self, open_database, relaxed, commit):
        database = await open_database(relaxed=relaxed)
        expected = {
            "synchronous_commit": commit,
            "statement_timeout": "10s",
            "idle_in_transaction_session_timeout": "15s",
        }
        found = {name: (await database.one("pg.setting", name=name))["value"] for name in expected}
        assert found == expected

    async def test_they_are_ten_at_most_beside_the_one_for_hints(self, database, admin):
        async with held(admin) as key:
            writes = [asyncio.ensure_future(database.write(lock(key))) for _ in range(30)]
            await eventually(lambda: waiting(admin), postgres_pool.LARGEST)
            assert len(await sessions(admin)) == postgres_pool.LARGEST + 1
        assert await asyncio.gather(*writes) == [[[{"n": 1}]]] * 30

    async def test_a_call_too_many_is_refused_at_once(self, open_database, admin):
        database = await open_database(queue_limit=12)
        async with held(admin) as key:
            writes = [asyncio.ensure_future(database.write(lock(key))) for _ in range(12)]
            await eventually(lambda: waiting(admin))
            for refused in (database.write(lock(key)), database.all("pg.setting", name="port")):
                with pytest.raises(StoreUnavailable, match="too many calls wait"):
                    await refused
        await asyncio.gather(*writes)
        assert await database.one("pg.pause", seconds=0)

    async def test_closing_finishes_what_is_queued_and_leaves_no_connection(self, database, admin):
        async with held(admin) as key:
            writes = [
                asyncio.ensure_future(database.write(lock(key), add(f"n{at}"))) for at in range(30)
            ]
            await eventually(lambda: waiting(admin))
            closing = asyncio.ensure_future(database.close())
            await eventually(lambda: waiting(admin), postgres_pool.LARGEST)
            with pytest.raises(StoreUnavailable, match="closed"):
                await database.all("thing.all")
        await closing
        assert all(write.done() for write in writes)
        await asyncio.gather(*writes)
        assert await admin.fetchval("SELECT count(*) FROM things") == 30
        await eventually(lambda: sessions(admin), [])

    async def test_tcp_is_kept_alive(self, front, open_database):
        database = await open_database(front.dsn)
        async with database._pool.connection() as connection:
            raw = connection._transport.get_extra_info("socket")
            assert raw.family == socket.AF_INET
            assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    @pytest.mark.parametrize(
        "dsn",
        [
            "postgresql://me:hunter2@127.0.0.1:1/x",
            "postgresql://me:hunter2@/x?host=/nowhere",
            "postgresql://me:hunt/er2@127.0.0.1/x",
            "postgresql://me:[hunter2@127.0.0.1/x",
            "postgresql://me:hunter2@127.0.0.1/x?hunter2",
            "postgres+ssl://me:hunter2@127.0.0.1/x",
            "hunter2",
        ],
    )
    async def test_what_cannot_be_reached_is_told_without_the_password(self, open_database, dsn):
        with pytest.raises(StoreError) as failure:
            await open_database(dsn)
        assert "hunt" not in repr(failure.value)
        assert failure.value.__context__ is None

    async def test_a_missing_database_is_told_by_its_name(self, open_database, dsn):
        with pytest.raises(StoreUnavailable, match='database "absent" does not exist'):
            await open_database(with_options(dsn, database="absent"))


class TestLimits:
    async def test_a_statement_that_takes_too_long_is_ended(self, dsn, open_database):
        database = await open_database(with_options(dsn, statement_timeout="50"))
        for attempt in (
            lambda: database.all("pg.pause", seconds=60),
            lambda: database.write(Step("pg.pause", {"seconds": 60})),
        ):
            with pytest.raises(StoreUnavailable, match=r"^pg\.pause: QueryCanceledError$"):
                await attempt()
        assert await database.one("pg.pause", seconds=0)

    async def test_a_server_that_says_nothing_is_not_waited_for(
        self, front, open_database, monkeypatch
    ):
        monkeypatch.setattr("meshd.store.postgres_dsn.COMMAND", 0.2)
        monkeypatch.setattr(postgres_pool, "RELEASE", 0.1)
        database = await open_database(front.dsn, relaxed=True)
        assert await database.one("pg.pause", seconds=0)
        front.speaking.clear()
        call = asyncio.ensure_future(database.one("pg.pause", seconds=0))
        await asyncio.wait({call}, timeout=5)
        assert call.done()
        with pytest.raises(StoreUnavailable, match=r"^pg\.pause: TimeoutError$"):
            await call
        front.speaking.set()
        assert await database.one("pg.pause", seconds=0)

    async def test_a_server_that_takes_nobody_more_is_unavailable(self, dsn, admin, open_database):
        role = f"few_{random.getrandbits(62)}"
        await admin.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1")
        try:
            database = await open_database(with_options(dsn, user=role), relaxed=True)
            answers = await asyncio.gather(
                *(database.all("pg.pause", seconds=0) for _ in range(2)), return_exceptions=True
            )
            assert answers[0] == [{"n": 1}]
            assert isinstance(answers[1], StoreUnavailable)
            await database.close()
        finally:
            await admin.execute(f"DROP ROLE {role}")


class TestLostConnections:
    async def test_what_was_under_way_fails_and_what_follows_works(self, database, admin):
        await database.write(add("a"))
        async with held(admin) as key:
            writes = [
                asyncio.ensure_future(database.write(bump("a"), lock(key))) for _ in range(20)
            ]
            await eventually(lambda: waiting(admin))
            await cut(admin)
        answers = await asyncio.gather(*writes, return_exceptions=True)
        failed = [answer for answer in answers if isinstance(answer, StoreUnavailable)]
        assert failed
        assert len(failed) + sum(isinstance(answer, list) for answer in answers) == 20
        assert await things(database) == {"a": 20 - len(failed)}
        assert await database.write(bump("a")) == [[{"count": 21 - len(failed)}]]

    async def test_idle_connections_that_were_cut_are_not_handed_out(self, database, admin):
        await asyncio.gather(*(database.all("thing.all") for _ in range(10)))
        await cut(admin)

        def reads():
            return asyncio.gather(*(database.all("thing.all") for _ in range(10)),
                                  return_exceptions=True)  # fmt: skip

        await eventually(reads, [[]] * 10)

    async def test_a_connection_cut_in_the_middle_fails_its_call(self, front, open_database, admin):
        database = await open_database(front.dsn)
        async with held(admin) as key:
            write = asyncio.ensure_future(database.write(lock(key)))
            await eventually(lambda: waiting(admin))
            await front.cut()
            with pytest.raises(StoreUnavailable, match=r"^pg\.lock: ConnectionDoesNotExistError$"):
                await write

    @pytest.mark.parametrize("way", ["read", "write"])
    async def test_whoever_is_cancelled_hears_of_it_though_the_server_says_nothing(
        self, front, open_database, admin, monkeypatch, way
    ):
        """Else a task that goes on after errors could never be stopped."""
        monkeypatch.setattr(postgres_pool, "RELEASE", 0.05)
        database = await open_database(front.dsn, relaxed=True)
        async with held(admin) as key:
            call = database.all("pg.lock", key=key) if way == "read" else database.write(lock(key))
            calling = asyncio.ensure_future(call)
            await eventually(lambda: waiting(admin))
            front.speaking.clear()
            calling.cancel()
            await asyncio.wait({calling}, timeout=5)
            assert calling.cancelled()
        front.speaking.set()

    async def test_a_cancelled_caller_leaves_nothing_and_its_connection(self, database, admin):
        async with held(admin) as key:
            write = asyncio.ensure_future(database.write(add("a"), lock(key)))
            await eventually(lambda: waiting(admin))
            before = await sessions(admin)
            write.cancel()
            with pytest.raises(asyncio.CancelledError):
                await write
            await eventually(lambda: waiting(admin), 0)
        assert await things(database) == {}
        assert await sessions(admin) == before


class TestConflicts:
    async def test_a_unit_that_lost_a_deadlock_is_done_again(self, database, admin):
        """The other one waits without ever looking for a deadlock, so ours is who finds it."""
        await database.write(add("a"), add("b"))
        await admin.execute("SET deadlock_timeout = '1min'")
        async with admin.transaction():
            await admin.execute("UPDATE things SET count = 10 WHERE name = 'a'")
            write = asyncio.ensure_future(database.write(bump("b"), bump("a")))
            await eventually(lambda: waiting(admin))
            await admin.execute("UPDATE things SET count = 10 WHERE name = 'b'")
        assert await write == [[{"count": 11}], [{"count": 11}]]

    async def test_a_conflict_without_end_is_given_up(self, database, monkeypatch):
        tries = []

        async def undone(*_):
            tries.append(1)
            raise asyncpg.SerializationError

        monkeypatch.setattr(postgres, "_run_steps", undone)
        with pytest.raises(StoreUnavailable, match="SerializationError"):
            await database.write(add("a"))
        assert len(tries) == postgres.TRIES

    @pytest.mark.parametrize(
        ("index", "columns"),
        [
            ("CREATE UNIQUE INDEX x ON parts (label)", "parts.label"),
            ('ALTER TABLE parts ADD "Odd" TEXT DEFAULT 1; CREATE UNIQUE INDEX x ON parts ("Odd")',
             "parts.Odd"),
            ("CREATE UNIQUE INDEX x ON parts (lower(label))", "index 'x'"),
        ],
    )  # fmt: skip
    async def test_a_taken_key_is_named_as_in_sqlite(self, database, admin, index, columns):
        await admin.execute(index)
        await database.write(add("a"), add("b"), Step("part.add", {"thing": "a", "label": "x)=("}))
        with pytest.raises(UniqueViolation) as taken:
            await database.write(Step("part.add", {"thing": "b", "label": "x)=("}))
        assert taken.value.columns == columns

    async def test_two_processes_claim_each_thing_once(self, dsn, database, migrations, tmp_path):
        """Both begin when both are there."""
        names = [f"n{at:03}" for at in range(100)]
        await database.write_many("thing.add", [{"name": name, "count": 0} for name in names])
        claimed = await _race("claiming_process.py", dsn, tmp_path, *names)
        assert sorted(claimed[0] + claimed[1]) == names
        assert set((await things(database)).values()) == {1, 2}, "both got some"


class TestTexts:
    async def test_a_flawed_statement_is_explained(self, database):
        for attempt in (
            lambda: database.all("pg.flawed", a=1),
            lambda: database.write(Step("pg.flawed", {"a": 1})),
            lambda: database.write_many("pg.flawed", [{"a": 1}]),
        ):
            with pytest.raises(
                StoreError, match=r'^pg\.flawed: relation "nowhere" does not exist$'
            ):
                await attempt()

    async def test_a_value_in_the_servers_text_is_left_out(self, database):
        with pytest.raises(StoreError, match=r"^pg\.cast: UndefinedTableError$"):
            await database.all("pg.cast", name="hunter2")

    async def test_an_unexpected_number_is_told_for_rows_that_are_selected_too(self, database):
        with pytest.raises(ExpectFailed):
            await database.write(Step("thing.all", expect=1))

    async def test_a_stranger_may_not_change_tables_and_is_told_so(
        self, dsn, admin, database, open_database
    ):
        role = f"stranger_{random.getrandbits(62)}"
        schema = await admin.fetchval("SELECT current_schema()")
        await admin.execute(f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {role}")
        try:
            stranger = await open_database(with_options(dsn, user=role))
            with pytest.raises(StoreError, match=r"^thing\.add: InsufficientPrivilegeError$"):
                await stranger.write(add("a"))
            await stranger.close()
        finally:
            await admin.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


class TestMigrations:
    async def test_processes_that_start_together_migrate_once(
        self, dsn, migrations, queries, tmp_path, open_database
    ):
        for number in (200, 300):
            (migrations / f"0{number}_slow.sqlite.sql").write_text("SELECT 1;")
            (migrations / f"0{number}_slow.postgres.sql").write_text(
                f"SELECT pg_sleep(0.05); CREATE TABLE slow_{number} (n INT);"
            )
        applied = await _race("migrating_process.py", dsn, tmp_path)
        assert sorted(applied[0] + applied[1]) == ["100", "200", "300"]
        assert await (await open_database()).migrate() == []

    async def test_several_folders_share_one_database(self, dsn, queries, migrations, tmp_path):
        (tmp_path / "more").mkdir()
        (tmp_path / "more/0050_first.sql").write_text("CREATE TABLE first (n INT);")
        folders = [migrations, tmp_path / "more"]
        for expected in ([50, 100], []):
            database = await PostgresDatabase.open(dsn, queries, migrations=folders)
            assert await database.migrate() == expected
            await database.close()

    async def test_a_migration_may_take_longer_than_a_statement(
        self, dsn, open_database, migrations
    ):
        (migrations / "0200_long.sqlite.sql").write_text("SELECT 1;")
        (migrations / "0200_long.postgres.sql").write_text("SELECT pg_sleep(0.2);")
        database = await open_database(with_options(dsn, statement_timeout="50"))
        assert await database.migrate() == [100, 200]

    async def test_a_function_is_one_statement(self, open_database, migrations, admin):
        (migrations / "0200_twice.sqlite.sql").write_text("SELECT 1;")
        (migrations / "0200_twice.postgres.sql").write_text(
            "CREATE FUNCTION twice(n BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$\n"
            "BEGIN\n    n := n * 2; -- not the end;\n    RETURN n;\nEND $$;\n-- the end\n"
        )
        await (await open_database()).migrate()
        assert await admin.fetchval("SELECT twice(21)") == 42


async def _race(script: str, dsn: str, folder: Path, *arguments: str) -> list[list[str]]:
    """The words that each of two processes prints after both said that they are ready."""
    racers = [
        await asyncio.create_subprocess_exec(
            sys.executable, str(HERE / script), dsn, str(folder), str(number), *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for number in (1, 2)
    ]  # fmt: skip
    for racer in racers:
        assert await racer.stdout.readline() == b"ready\n"
    told = await asyncio.gather(*(racer.communicate(b"go\n") for racer in racers))
    assert [racer.returncode for racer in racers] == [0, 0]
    return [out.decode().split() for out, _ in told]

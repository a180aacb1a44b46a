"""The second wall, on Postgres: a statement without its filter sees one org's rows, or none."""

from functools import partial

import asyncpg
import pytest

from meshd.store.db import Step, StoreError
from meshd.store.opening import MIGRATIONS, SQL
from meshd.store.ownership import ORG_TABLES
from meshd.store.postgres import PostgresDatabase
from meshd.store.queries import Queries, Query
from meshd.store.scoped import ScopedDatabase
from tests.support.postgres import with_options

FORGETFUL = {f"forgetful.{table}": f"SELECT org_id FROM {table}" for table in ORG_TABLES} | {
    "forgetful.update": "UPDATE connections SET name = 'mine' WHERE name = 'theirs' RETURNING id",
    "forgetful.delete": "DELETE FROM events RETURNING id",
    "forgetful.move": "UPDATE keys SET org_id = 'org_b' RETURNING id",
}
ROWS = [
    Step("connection.add", {
        "id": "conn", "name": "theirs", "transport": "http", "url": "http://x", "command": None,
        "cwd": None, "bodies": "off", "now": 1, "trust": "pinned",
    }),
    Step("credential.put", {"connection_id": "conn", "kind": "env", "name": "A", "blob": b"x"}),
    Step("definitions.put", {"connection_id": "conn", "tools": b"[]", "now": 1, "edition": 0}),
    Step("data_key.add", {"version": 1, "wrapped": b"x", "now": 1}),
    Step("key.add", {
        "id": "key", "name": "k", "prefix": "p", "digest": b"d", "last_four": "1234",
        "permissions": "{}", "role": None, "read_only": 0, "owner_id": "usr", "now": 1,
        "expires_at": None, "connection_id": None,
    }),
    Step("event.add", {
        "id": "e", "type": "t", "source": "s", "subject": None, "time": 1, "data": "{}",
    }),
    Step("subscription.add", {
        "id": "sub", "name": "s", "types": "[]", "publisher": None, "filter": None, "kind": "webhook",
        "target": "{}", "url": b"x", "secret": b"x", "maker": "{}", "owner_id": "usr", "now": 1, "ordered_by": None,
    }),
    Step("delivery.add", {
        "id": "dlv", "source": "s", "event": "e", "subscription": "sub", "now": 1, "own": "e",
        "at": 1, "order_key": None,
    }),
    Step("delivery.attempted", {
        "daemon": "run",
        "ended": '[{"id": "dlv", "fence": 1, "attempt": 1, "started_at": 1, "duration_us": 1,'
        ' "outcome": "delivered", "status": null, "error": null}]',
    }),
    Step("approval.put", {"connection_id": "conn", "fingerprints": "{}", "tools": b"[]"}),
    Step("delivery.cancel_of", {"subscription": "sub", "now": 1}),
    Step("virtual.add", {
        "id": "vir", "name": "v", "description": "", "instructions": None, "mode": "passthrough",
        "naming": "plain", "maker": "{}", "owner_id": "usr", "now": 1,
    }),
    Step("virtual.attach", {
        "virtual_id": "vir", "child_id": "conn", "tools": None, "resources": "[]",
        "prompts": None, "overrides": "{}",
    }),
    Step("virtual.hold", {"virtual_id": "vir", "held": "{}"}),
    Step("schedule.add", {
        **dict.fromkeys(("subject", "published")), "id": "sch", "name": "s", "type": "t", "data": "1",
        "cron": "@daily", "zone": "UTC", "misfire": "once", "overlap": "skip", "maker": "{}",
        "owner_id": "usr", "next_at": 1, "now": 1,
    }),
    Step("schedule.fire", {
        "id": "sch", "slot": 1, "now": 1, "outcome": "fired", "missed": 0, "event": None,
    }),
    Step("webhook.add", {
        "id": "hook", "name": "h", "signature": "slack", "type": None, "secret": b"x",
        "maker": "{}", "owner_id": "usr", "now": 1,
    }),
    Step("call.add", {
        **dict.fromkeys(("connection_id", "connection", "tool", "principal_id", "principal"), "x"),
        **dict.fromkeys(("receive_us", "decide_us", "upstream_us", "answer_us", "cut", "ok"), 0),
        "id": "call", "at": 1, "error": None, "arguments": None, "result": None, "client": None,
    }),
]  # fmt: skip


@pytest.fixture
def plain_dsn(postgres, dsn):
    """The schema of `dsn`, owned by a role that is no superuser: as a team's daemon has it."""
    schema = dsn.partition("search_path=")[2].partition("&")[0]
    postgres.execute(
        f"CREATE ROLE {schema} LOGIN PASSWORD 'x' NOSUPERUSER NOBYPASSRLS;"
        f"ALTER SCHEMA {schema} OWNER TO {schema};"
    )
    yield with_options(dsn, user=schema, password="x")
    postgres.execute(
        f"DROP OWNED BY {schema} CASCADE; DROP ROLE {schema};CREATE SCHEMA IF NOT EXISTS {schema}"
    )


@pytest.fixture
async def database(plain_dsn):
    """Migrated by that role itself, with all that an org can own, in one org of two."""
    shipped = Queries.load(SQL, "postgres")
    known = {name: shipped.query(name) for name in shipped.names()}
    known |= {
        # As if the first wall were not there.
        name: Query(name, sql, (), sql, returns=True, reach="org")
        for name, sql in FORGETFUL.items()
    }
    folders = [MIGRATIONS / "main", MIGRATIONS / "calls"]
    queries = Queries(known)
    opened = await PostgresDatabase.open(plain_dsn, queries, migrations=folders)
    await opened.migrate()
    scoped = ScopedDatabase(opened, queries)
    await scoped.write(Step("user.add", {"id": "usr", "name": "ada", "now": 1}))
    for org in ("org_a", "org_b"):
        await scoped.org(org).write(Step("org.add", {"id": org, "name": org, "now": 1}))
    await scoped.org("org_b").write(*ROWS)
    yield scoped
    await scoped.close()


@pytest.mark.parametrize("table", sorted(ORG_TABLES))
async def test_a_forgotten_filter_shows_nothing_of_another_org(database, table):
    assert await database.org("org_a").all(f"forgetful.{table}") == []
    assert await database.org("org_b").all(f"forgetful.{table}") == [{"org_id": "org_b"}]


@pytest.mark.parametrize("what", ["update", "delete"])
async def test_a_forgotten_filter_changes_nothing_of_another_org(database, what):
    assert await database.org("org_a").write(Step(f"forgetful.{what}")) == [[]]
    assert len((await database.org("org_b").write(Step(f"forgetful.{what}")))[0]) == 1


async def test_no_row_is_moved_or_put_into_another_org(database):
    await database.org("org_a").write(
        Step("key.add", {**ROWS[4].params, "id": "key_a", "digest": b"a"})
    )
    with pytest.raises(StoreError):
        await database.org("org_a").write(Step("forgetful.move"))


async def test_all_orgs_are_read_by_those_who_say_so(database):
    assert [row["org_id"] for row in await database.all("connection.all")] == ["org_b"]
    assert [row["org_id"] for row in await database.all("call.orgs")] == ["org_b"]
    assert len((await database.write(Step("event.sweep", {"time": 5})))[0]) == 1


@pytest.mark.parametrize("table", sorted(ORG_TABLES))
async def test_a_connection_that_names_no_org_sees_nothing(database, plain_dsn, table):
    """What a unit said is forgotten with it, also where the connection is used again."""
    await database.org("org_b").all("event.after", after=0, limit=1)
    link = await asyncpg.connect(plain_dsn)
    try:
        assert await link.fetch(f"SELECT 1 FROM {table}") == []
        async with link.transaction():
            await link.execute("SET LOCAL meshctl.org = 'org_b'")
            assert len(await link.fetch(f"SELECT 1 FROM {table}")) == 1
        assert await link.fetch(f"SELECT 1 FROM {table}") == []
    finally:
        await link.close()


async def test_removing_an_org_reaches_all_it_owns(database):
    """Cascades are not held back by the wall."""
    await database.org("org_b").write(Step("org.remove", expect=1))
    assert await database.all("connection.all") == await database.all("key.all") == []


@pytest.mark.parametrize("org", ["x' OR 'x' = 'x", "", "org_a; SELECT 1", "org_ä"])
async def test_an_org_is_never_a_piece_of_sql(database, org):
    with pytest.raises(StoreError, match="not the id of an org"):
        await database.org(org).one("event.last")


async def test_it_is_told_who_passes_the_wall(plain_dsn, dsn):
    """A superuser does."""
    told = partial(PostgresDatabase.open, queries=Queries({}), migrations=[])
    for target, held in ((plain_dsn, True), (dsn, False)):
        opened = await told(target)
        assert await opened.is_guarded() is held
        await opened.close()

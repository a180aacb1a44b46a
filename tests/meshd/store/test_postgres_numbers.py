"""Numbers that followers go by: whoever saw one has seen every lower one.

Postgres gives them before the commit, so those who write take turns.
"""

import asyncio

import pytest

from meshd.store.db import Step
from meshd.store.opening import MIGRATIONS, SQL
from meshd.store.postgres import PostgresDatabase
from meshd.store.queries import Queries
from tests.meshd.store.activity import eventually, waiting

QUERIES = Queries.load(SQL, "postgres")
CALL = dict.fromkeys(
    ["at", "ok", "receive_us", "decide_us", "upstream_us", "answer_us", "cut"], 1
) | dict.fromkeys(
    ["connection_id", "connection", "tool", "principal_id", "principal", "error", "client"], "x"
)  # fmt: skip
BODIES = {"arguments": b"{}", "result": None}


def event(org: str, name: str) -> Step:
    about = {"org_id": org, "id": name, "type": "t", "source": "s", "subject": None}
    return Step("event.add", {**about, "time": 1, "data": "{}"})


def call(org: str, name: str) -> Step:
    return Step("call.add", {**CALL, **BODIES, "org_id": org, "id": name})


@pytest.fixture
async def database(dsn):
    """A daemon's, with two orgs."""
    folders = [MIGRATIONS / "main", MIGRATIONS / "calls"]
    opened = await PostgresDatabase.open(dsn, QUERIES, migrations=folders)
    await opened.migrate()
    orgs = [{"id": org, "name": org, "now": 1} for org in ("org_1", "org_2")]
    await opened.write_many("org.add", orgs)
    yield opened
    await opened.close()


async def begin(admin, step: Step) -> None:
    query = QUERIES.query(step.query)
    await admin.execute(query.numbered, *query.bind(step.params).values())


@pytest.mark.parametrize("make", [event, call])
async def test_a_follower_misses_none(database, admin, make):
    noun = make.__name__
    async with admin.transaction():
        await begin(admin, make("org_1", "first"))
        write = asyncio.ensure_future(database.write(make("org_1", "second")))
        await eventually(lambda: _waits_or_is_done(admin, write))
        assert await database.all(f"{noun}.after", org_id="org_1", after=0, limit=9) == []
    await write
    rows = await database.all(f"{noun}.after", org_id="org_1", after=0, limit=9)
    assert [row["id"] for row in rows] == ["first", "second"]
    after = rows[0]["seq"]
    rows = await database.all(f"{noun}.after", org_id="org_1", after=after, limit=9)
    assert [row["id"] for row in rows] == ["second"]


@pytest.mark.parametrize("make", [event, call])
async def test_other_orgs_do_not_wait(database, admin, make):
    async with admin.transaction():
        await begin(admin, make("org_1", "first"))
        async with asyncio.timeout(5):
            await database.write(make("org_2", "second"))


async def test_batches_of_one_org_never_deadlock(database):
    batches = [[call("org_1", f"{at}{n}").params for n in range(2)] for at in range(40)]
    await asyncio.gather(*(database.write_many("call.add", batch) for batch in batches))
    assert (await database.one("call.count_since", org_id="org_1", time=0))["n"] == 80


async def test_a_record_that_is_written_again_is_there_once(database):
    for _ in range(2):
        await database.write(call("org_1", "only"))
    assert len(await database.all("call.after", org_id="org_1", after=0, limit=9)) == 1


async def _waits_or_is_done(admin, write) -> bool:
    return write.done() or await waiting(admin) > 0

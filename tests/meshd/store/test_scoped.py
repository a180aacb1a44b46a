"""The handle of an org: it fills in the org, never another, and the rest is out of its reach."""

from functools import partial

import pytest

from meshd.store.db import Step, StoreError
from meshd.store.opening import MIGRATIONS, SQL
from meshd.store.postgres import PostgresDatabase
from meshd.store.queries import Queries
from meshd.store.scoped import ScopedDatabase
from meshd.store.sqlite import SqliteDatabase


@pytest.fixture(params=["sqlite", "postgres"])
def opening(request, tmp_path):
    """Opens an empty database of either kind with the daemon's own queries."""
    queries = Queries.load(SQL, request.param)
    folders = [MIGRATIONS / "main", MIGRATIONS / "calls"]
    if request.param == "sqlite":
        path = tmp_path / "mesh.db"
        return queries, partial(SqliteDatabase.open, path, queries, migrations=folders[0])
    dsn = request.getfixturevalue("dsn")
    return queries, partial(PostgresDatabase.open, dsn, queries, migrations=folders)


@pytest.fixture
async def scoped(opening):
    """Two orgs with one connection each, on either database."""
    queries, opener = opening
    opened = await opener()
    await opened.migrate()
    database = ScopedDatabase(opened, queries)
    for org in ("org_a", "org_b"):
        await database.org(org).write(
            Step("org.add", {"id": org, "name": org, "now": 1}),
            Step("connection.add", connection(f"conn_{org}")),
        )
    yield database
    await database.close()


def connection(name):
    return {
        "id": name, "name": "github", "transport": "http", "url": "http://x", "command": None,
        "cwd": None, "bodies": "off", "now": 1, "trust": "open",
    }  # fmt: skip


def event(name, **more):
    about = {"id": name, "type": "t", "source": "s", "subject": None, "time": 1, "data": "{}"}
    return Step("event.add", {**about, **more})


async def test_the_org_is_filled_in(scoped):
    await scoped.org("org_a").write(event("first"))
    await scoped.org("org_a").write_many("event.add", [event("second").params])
    rows = await scoped.org("org_a").all("event.after", after=0, limit=9)
    assert [row["id"] for row in rows] == ["first", "second"]
    assert await scoped.org("org_b").all("event.after", after=0, limit=9) == []
    assert (await scoped.org("org_b").one("event.last"))["seq"] == 0


async def test_another_org_is_refused(scoped):
    mine = scoped.org("org_a")
    for asking in (
        mine.all("event.after", org_id="org_b", after=0, limit=9),
        mine.one("event.last", org_id="org_b"),
        mine.write(event("fine"), event("x", org_id="org_b")),
        mine.write_many("event.add", [event("x", org_id="org_b").params]),
    ):
        with pytest.raises(StoreError, match="another org"):
            await asking
    assert await mine.all("event.after", after=0, limit=9) == []


async def test_an_id_of_another_org_is_not_there(scoped):
    row = {"id": "conn_org_b", "enabled": 0, "edition": 0}
    assert await scoped.org("org_a").write(Step("connection.enable", row)) == [[]]
    assert len((await scoped.org("org_b").write(Step("connection.enable", row)))[0]) == 1


async def test_what_reaches_over_all_orgs_is_not_an_orgs(scoped):
    with pytest.raises(StoreError, match="over all orgs"):
        await scoped.org("org_a").all("key.all")
    assert len(await scoped.all("connection.all")) == 2


async def test_what_is_an_orgs_is_not_asked_of_all(scoped):
    asked = {"org_id": "org_a"}
    with pytest.raises(StoreError, match="belongs to an org"):
        await scoped.one("event.last", **asked)
    with pytest.raises(StoreError, match="belongs to an org"):
        await scoped.all("event.after", **asked, after=0, limit=9)
    with pytest.raises(StoreError, match="belongs to an org"):
        await scoped.write(event("x", **asked))
    assert await scoped.org("org_a").all("event.after", after=0, limit=9) == []


async def test_an_org_goes_with_all_it_owns(scoped):
    await scoped.org("org_a").write(
        event("x"),
        Step(
            "credential.put",
            {"connection_id": "conn_org_a", "kind": "env", "name": "A", "blob": b"x"},
        ),
        Step(
            "definitions.put",
            {"connection_id": "conn_org_a", "tools": b"[]", "now": 1, "edition": 0},
        ),
        Step(
            "approval.put",
            {"connection_id": "conn_org_a", "fingerprints": "{}", "tools": b"[]"},
        ),
        Step("data_key.add", {"version": 1, "wrapped": b"x", "now": 1}),
    )
    await scoped.org("org_a").write(Step("org.remove", expect=1))
    left = {row["org_id"] for row in await scoped.all("connection.all")}
    assert left == {"org_b"}
    for query in ("credential.all", "definitions.all", "approval.all", "data_key.all"):
        assert await scoped.all(query) == []
    assert await scoped.org("org_a").all("event.after", after=0, limit=9) == []
    assert await scoped.org("org_b").write(Step("org.remove")) == [[]], "the last one stays"

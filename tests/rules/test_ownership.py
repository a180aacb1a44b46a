"""What orgs own is reached by naming the org: every statement, in every dialect, on every table."""

import re

import pytest

from meshd.store.db import StoreError
from meshd.store.opening import MIGRATIONS
from meshd.store.ownership import EVERY_ORG, ORG_TABLES
from meshd.store.queries import Queries, statement
from meshd.store.sqlite import SqliteDatabase
from tests.rules.sources import PACKAGES, sources

SQL = PACKAGES["meshd"] / "store" / "sql"
DIALECTS = ["sqlite", "postgres"]
FREE = re.compile(r"meshd\.(app|store\.\w+)")
"""Who holds a database as it is: the drivers, the handles, and who hands them out."""


@pytest.fixture
async def tables(tmp_path):
    """Every table that the migrations leave, with its columns."""
    found = {}
    for name in ("main", "calls"):
        database = await SqliteDatabase.open(
            tmp_path / name, Queries.load(SQL), migrations=MIGRATIONS / name
        )
        await database.migrate()
        rows = await database._writer.submit(
            lambda c: c.execute(
                "SELECT m.name AS t, i.name AS c FROM sqlite_master m, pragma_table_info(m.name) i"
                " WHERE m.type = 'table'"
            ).fetchall()
        )
        for row in rows:
            found.setdefault(row["t"], set()).add(row["c"])
        await database.close()
    return found


async def test_the_tables_of_orgs_are_those_with_their_column(tables):
    assert {name for name, columns in tables.items() if "org_id" in columns} == ORG_TABLES


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_statement_on_them_names_the_org_or_says_why_not(dialect):
    queries = Queries.load(SQL, dialect)
    for name in queries.names():
        query = queries.query(name)
        words = set(re.findall(r"\w+", re.sub(r"'[^']*'", "", query.sql)))
        if words & ORG_TABLES and name not in EVERY_ORG:
            assert "org_id" in query.params, name


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_row_that_is_changed_is_told_apart_by_its_org(dialect):
    """Naming the org somewhere is not enough where rows are changed or removed."""
    queries = Queries.load(SQL, dialect)
    for name in queries.names():
        query = queries.query(name)
        verb = query.sql.lstrip().split()[0]
        if query.reach == "org" and verb in {"UPDATE", "DELETE"}:
            assert re.search(r"WHERE\s+\+?(?:\w+\.)?(org_id|id) = :org_id", query.sql), name


def test_every_exception_is_needed():
    queries = Queries.load(SQL)
    assert {name for name in queries.names() if queries.query(name).reach == "every"} == set(
        EVERY_ORG
    )


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM connections",
        "SELECT o.id FROM orgs o JOIN keys k ON k.org_id = o.id",
        "DELETE FROM events WHERE id = :id",
        "SELECT ':org_id' AS org_id FROM calls -- :org_id",
    ],
)
def test_a_forgotten_org_is_refused_when_queries_are_read(sql):
    with pytest.raises(StoreError, match="bind :org_id"):
        statement("some.thing", sql)


def test_services_hold_no_database_as_it_is():
    """They get the one whose orgs are apart."""
    strangers = [
        source.name
        for source in sources()
        if not FREE.fullmatch(source.name)
        and source.used
        & {
            "meshd.store.db.Database",
            "meshd.store.sqlite.SqliteDatabase",
            "meshd.store.postgres.PostgresDatabase",
        }
    ]
    assert strangers == []

"""A small schema with its queries, and a database of each driver on it."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from meshd.store.postgres import PostgresDatabase
from meshd.store.queries import Queries
from meshd.store.sqlite import SqliteDatabase
from tests.support.postgres import Postgres, with_options

THINGS = """
CREATE TABLE things (
    name TEXT PRIMARY KEY,
    count BIGINT NOT NULL CHECK (count >= 0)
);
CREATE TABLE parts (
    thing TEXT NOT NULL REFERENCES things (name) DEFERRABLE INITIALLY DEFERRED,
    label TEXT NOT NULL,
    UNIQUE (thing, label)
);
"""

KEPT = {
    "sqlite": "CREATE TABLE kept (number INTEGER, label TEXT, content BLOB);",
    "postgres": "CREATE TABLE kept (number BIGINT, label TEXT, content BYTEA);",
}

QUERIES = """
-- name: thing.add
-- Fails for a name that is taken.
INSERT INTO things (name, count) VALUES (:name, :count)

-- name: thing.bump
-- Tells the count it reached.
UPDATE things SET count = count + :by WHERE name = :name RETURNING count

-- name: thing.set
-- Changes rows without returning any.
UPDATE things SET count = :count WHERE name = :name

-- name: thing.set_twice
-- Starts with WITH, for which cursors do not count rows.
WITH wanted AS (SELECT :name AS name)
UPDATE things SET count = :count * 2 WHERE name IN (SELECT name FROM wanted)

-- name: thing.claim
-- Whoever comes first gets it.
UPDATE things SET count = :by WHERE name = :name AND count = 0

-- name: thing.drop
-- Nothing happens for a name that is not there.
DELETE FROM things WHERE name = :name

-- name: thing.clear
-- An empty table for the next example.
DELETE FROM things

-- name: thing.get
-- One thing or none.
SELECT name, count FROM things WHERE name = :name

-- name: thing.all
-- By name.
SELECT name, count FROM things ORDER BY name

-- name: part.add
-- Its thing must be there when the unit ends.
INSERT INTO parts (thing, label) VALUES (:thing, :label)

-- name: kept.add
-- A value of any type.
INSERT INTO kept (number, label, content) VALUES (:number, :label, :content)

-- name: kept.get
-- It, as it comes back.
SELECT number, label, content FROM kept

-- name: ledger.all
-- What the migrations left.
SELECT number, name, checksum, applied_at FROM schema_migrations ORDER BY number
"""


@pytest.fixture
def queries(tmp_path: Path) -> Queries:
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "thing.sql").write_text(QUERIES)
    return Queries.load(folder)


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0100_things.sql").write_text(THINGS)
    return folder


@pytest.fixture
def kept(migrations: Path) -> None:
    """One more table, of every type that there is."""
    for dialect, script in KEPT.items():
        (migrations / f"0110_kept.{dialect}.sql").write_text(script)


@pytest.fixture
def other_dsn(postgres: Postgres) -> Iterator[str]:
    """Another one."""
    with postgres.schema() as schema:
        yield schema


@pytest.fixture
async def admin(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to it beside the driver's, which looks and disturbs."""
    connection = await asyncpg.connect(with_options(dsn, application_name="admin"))
    yield connection
    await connection.close()


@pytest.fixture(params=["sqlite", "postgres"])
def opening(request, tmp_path, queries, migrations):
    """Opens the same database at every call, of every driver in turn."""
    if request.param == "sqlite":
        path = tmp_path / "mesh.db"
        return partial(SqliteDatabase.open, path, queries, migrations=migrations)
    dsn = request.getfixturevalue("dsn")
    return partial(PostgresDatabase.open, dsn, queries, migrations=[migrations])


@pytest.fixture
async def database(opening):
    """A migrated database of every driver in turn."""
    opened = await opening()
    await opened.migrate()
    yield opened
    await opened.close()

"""The daemon's own migrations and queries: the same tables in both dialects, and what fits them."""

import re
from typing import Any, NamedTuple

import pytest

from meshd.store.migrate import discover
from meshd.store.opening import MIGRATIONS, SQL
from meshd.store.postgres import PostgresDatabase
from meshd.store.queries import Queries
from meshd.store.sqlite import SqliteDatabase

FOLDERS = ["main", "calls"]
TYPES = {
    "INTEGER": "number", "BIGINT": "number", "TEXT": "text", "BLOB": "bytes",
    "bigint": "number", "text": "text", "bytea": "bytes",
}  # fmt: skip


class Column(NamedTuple):
    type: str
    nullable: bool
    default: str | None


class Table(NamedTuple):
    """What a table promises, apart from how."""

    columns: dict[str, Column]
    unique: set[tuple[str, ...]]
    indexes: set[tuple[str, ...]]
    foreign: set[tuple[str, str, str, str]]


@pytest.fixture
async def sqlite(tmp_path):
    """Both files of a daemon on SQLite, migrated."""
    opened = {}
    for name in FOLDERS:
        opened[name] = await SqliteDatabase.open(
            tmp_path / f"{name}.db", Queries.load(SQL), migrations=MIGRATIONS / name
        )
        await opened[name].migrate()
    yield opened
    for database in opened.values():
        await database.close()


@pytest.fixture
async def migrated(dsn, admin):
    """The schema of a daemon on Postgres."""
    folders = [MIGRATIONS / name for name in FOLDERS]
    database = await PostgresDatabase.open(dsn, Queries.load(SQL, "postgres"), migrations=folders)
    await database.migrate()
    await database.close()
    return admin


async def run(database: SqliteDatabase, *statement: Any) -> list[dict[str, Any]]:
    return await database._writer.submit(lambda c: c.execute(*statement).fetchall())


async def in_sqlite(database: SqliteDatabase) -> dict[str, Table]:
    names = await run(database, "SELECT name FROM sqlite_master WHERE type = 'table'")
    tables = {}
    for (name,) in (row.values() for row in names):
        if name == "schema_migrations" or name.startswith("sqlite_"):
            continue
        rows = await run(database, f"PRAGMA table_info({name})")
        columns = {
            row["name"]: Column(
                TYPES[row["type"]], not (row["notnull"] or row["pk"]), row["dflt_value"]
            )
            for row in rows
        }
        keys = sorted((row["pk"], row["name"]) for row in rows if row["pk"])
        indexes: dict[bool, set[tuple[str, ...]]] = {
            True: {tuple(column for _, column in keys)},
            False: set(),
        }
        for index in await run(database, f"PRAGMA index_list({name})"):
            parts = await run(database, f"PRAGMA index_info({index['name']})")
            indexes[bool(index["unique"])].add(tuple(part["name"] for part in parts))
        foreign = {
            (row["from"], row["table"], row["to"], row["on_delete"])
            for row in await run(database, f"PRAGMA foreign_key_list({name})")
        }
        tables[name] = Table(columns, indexes[True], indexes[False], foreign)
    return tables


COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable = 'YES' AS nullable,
       split_part(column_default, '::', 1) AS preset
FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name <> 'schema_migrations'
"""
INDEXES = """
SELECT indrelid::regclass::text AS table_name, indisunique AS is_unique,
       ARRAY(SELECT attname::text FROM unnest(indkey) WITH ORDINALITY AS key (number, place)
             JOIN pg_attribute ON attrelid = indrelid AND attnum = number ORDER BY place) AS keys
FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
WHERE relnamespace = current_schema()::regnamespace AND relname <> 'schema_migrations'
"""
FOREIGN = """
SELECT conrelid::regclass::text AS table_name, mine.attname AS mine,
       confrelid::regclass::text AS other, theirs.attname AS theirs,
       CASE confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'a' THEN 'NO ACTION' END AS deleted
FROM pg_constraint
JOIN pg_attribute AS mine ON mine.attrelid = conrelid AND mine.attnum = conkey[1]
JOIN pg_attribute AS theirs ON theirs.attrelid = confrelid AND theirs.attnum = confkey[1]
WHERE contype = 'f' AND connamespace = current_schema()::regnamespace
"""


async def in_postgres(connection) -> dict[str, Table]:
    tables: dict[str, Table] = {}
    for name, column, type_, nullable, preset in await connection.fetch(COLUMNS):
        table = tables.setdefault(name, Table({}, set(), set(), set()))
        table.columns[column] = Column(TYPES[type_], nullable, preset)
    for name, unique, keys in await connection.fetch(INDEXES):
        (tables[name].unique if unique else tables[name].indexes).add(tuple(keys))
    for name, *foreign in await connection.fetch(FOREIGN):
        tables[name].foreign.add(tuple(foreign))
    return tables


async def test_both_dialects_have_the_same_tables(sqlite, migrated):
    files = [await in_sqlite(sqlite[name]) for name in FOLDERS]
    assert files[0].keys().isdisjoint(files[1])
    assert "keys" in files[0]
    assert "calls" in files[1]
    assert await in_postgres(migrated) == files[0] | files[1]


def test_both_dialects_check_the_same():
    def checks(dialect):
        return [
            (migration.number, re.findall(r"CHECK \(.*\)", migration.script))
            for folder in FOLDERS
            for migration in discover(MIGRATIONS / folder, dialect)
        ]

    assert checks("sqlite") == checks("postgres")
    assert any(found for _, found in checks("sqlite"))


async def test_keys_sort_by_byte_whatever_the_locale(migrated):
    """As in SQLite; and an update of the system's locales would break an index in their order."""
    odd = await migrated.fetch(
        """
        SELECT attrelid::regclass::text, attname FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid JOIN pg_collation ON pg_collation.oid = attcollation
        WHERE relkind = 'i' AND relnamespace = current_schema()::regnamespace AND collname <> 'C'
        """
    )
    assert odd == []


async def test_each_query_fits_sqlite(sqlite):
    queries = Queries.load(SQL)
    for query in map(queries.query, queries.names()):
        file = sqlite["calls" if query.name.startswith("call.") else "main"]
        assert await run(file, f"EXPLAIN {query.sql}", dict.fromkeys(query.params)), query.name


async def test_each_query_fits_postgres(migrated):
    """With parameters and columns of the types that SQLite has, too."""
    queries = Queries.load(SQL, "postgres")
    assert queries.names() == Queries.load(SQL).names()
    for query in map(queries.query, queries.names()):
        prepared = await migrated.prepare(query.numbered)
        types = {
            *(parameter.name for parameter in prepared.get_parameters()),
            *(attribute.type.name for attribute in prepared.get_attributes()),
        }
        assert types <= {"int8", "text", "bytea"}, query.name
        assert len(prepared.get_parameters()) == len(query.params), query.name
        assert bool(prepared.get_attributes()) is query.returns, query.name

"""Reading a whole Postgres database within one transaction, and writing it down as SQLite files."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from meshd.store import migrate
from meshd.store.db import Dialect, StoreError
from meshd.store.postgres_pool import PASSES_ROW_SECURITY, UNHURRIED
from meshd.store.reading import BATCH, CALLS_FILE, MAIN_FILE, Applied, Table, Values
from meshd.store.sqlite_file import SqliteFileWriter

_TABLES = """
SELECT c.relname AS name,
       (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       (SELECT array_agg(DISTINCT r.relname::text) FROM pg_constraint k
        JOIN pg_class r ON r.oid = k.confrelid
        WHERE k.conrelid = c.oid AND k.contype = 'f') AS after
FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
"""
_COUNTED = """
SELECT c.relname AS name, a.attname AS column,
       pg_get_serial_sequence(format('%I.%I', current_schema(), c.relname), a.attname) AS sequence
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = current_schema()::regnamespace AND a.attidentity <> ''
"""
_OPEN_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
  AND a.attname = 'org_id' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
ORDER BY c.relname
"""
_SIZE = """
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
"""


class PostgresReading:
    """A `Reading` on a connection that is in a transaction; see `PostgresDatabase.at_length`."""

    dialect: Dialect = "postgres"

    def __init__(self, connection: Any, folders: Sequence[Path]) -> None:
        """`folders` are the migrations of the two files of a copy, in the order of its names."""
        self._connection = connection
        self._folders = folders

    async def fetch(self, sql: str) -> list[Values]:
        """See `Reading.fetch`."""
        rows = await self._connection.fetch(sql, timeout=UNHURRIED)
        return [tuple(row) for row in rows]

    async def rows(self, table: Table) -> AsyncIterator[Sequence[Values]]:
        """See `Reading.rows`."""
        cursor = await self._connection.cursor(table.select, timeout=UNHURRIED)
        while batch := await cursor.fetch(BATCH, timeout=UNHURRIED):
            yield [tuple(row) for row in batch]

    async def tables(self) -> list[Table]:
        """See `Reading.tables`."""
        return [
            Table(row["name"], tuple(row["columns"]), frozenset(row["after"] or ()))
            for row in await self._connection.fetch(_TABLES)
            if row["name"] != migrate.TABLE
        ]

    async def applied(self) -> list[Applied]:
        """See `Reading.applied`."""
        here = "SELECT to_regclass(format('%I.%I', current_schema(), $1::text)) IS NOT NULL"
        if not await self._connection.fetchval(here, migrate.TABLE):
            return []
        rows = await self.fetch(
            f"SELECT number, name, checksum, applied_at FROM {migrate.TABLE} ORDER BY number"  # noqa: S608 - a constant
        )
        return [Applied(*row) for row in rows]

    async def counters(self) -> Mapping[str, int]:
        """See `Reading.counters`."""
        found = {}
        for name, (_, sequence) in (await self.counted()).items():
            ((last, called),) = await self.fetch(f"SELECT last_value, is_called FROM {sequence}")  # noqa: S608 - our schema
            if called:
                found[name] = last
        return found

    async def counted(self) -> Mapping[str, tuple[str, str]]:
        """The column of each table that counts its rows, and the sequence that gives the number."""
        rows = await self._connection.fetch(_COUNTED)
        return {row["name"]: (row["column"], row["sequence"]) for row in rows}

    async def size(self) -> int:
        """See `Reading.size`."""
        ((size,),) = await self.fetch(_SIZE)
        return int(size)

    async def flaw(self) -> str | None:
        """See `Reading.flaw`. A server looks after its pages itself; reading is the test here."""
        return None

    async def open_rows(self) -> list[str]:
        """See `Reading.open_rows`."""
        found = []
        if (await self.fetch(PASSES_ROW_SECURITY))[0][0]:
            found.append("the role of DATABASE_URL is a superuser or has BYPASSRLS")
        if tables := [name for (name,) in await self.fetch(_OPEN_TABLES)]:
            found.append(f"it is off for the tables {', '.join(tables)}")
        return found

    async def copy_into(self, folder: Path) -> None:
        """See `Reading.copy_into`. The files have the migrations that the database has."""
        numbers = {one.number for one in await self.applied()}
        theirs = {table.name: table for table in await self.tables()}
        counters = await self.counters()
        for name, migrations in zip((MAIN_FILE, CALLS_FILE), self._folders, strict=True):
            known = [one for one in migrate.discover(migrations, "sqlite") if one.number in numbers]
            try:
                await self._copy(folder / name, known, theirs, counters)
            except sqlite3.Error as error:  # its text may quote a value
                raise StoreError(f"{name} cannot be written: {type(error).__name__}") from None

    async def _copy(
        self,
        path: Path,
        known: Sequence[migrate.Migration],
        theirs: Mapping[str, Table],
        counters: Mapping[str, int],
    ) -> None:
        """Fill one file: each of its tables with the rows of the same table here."""
        file = await asyncio.to_thread(SqliteFileWriter, path, known)
        try:
            for table in file.tables():
                same_columns(table, theirs)
                async for batch in self.rows(table):
                    await asyncio.to_thread(file.insert, table, batch)
                if table.name in counters:
                    file.count_on(table, counters[table.name])
            await asyncio.to_thread(file.finish)
        finally:
            await asyncio.to_thread(file.close)


def same_columns(table: Table, theirs: Mapping[str, Table]) -> None:
    """Check that a table is in the other database too, with the same columns in whatever order.

    Raises:
        StoreError: it is not.
    """
    there = theirs.get(table.name)
    if there is None or {*there.columns} != {*table.columns}:
        raise StoreError(f"the table {table.name} is not the same in both databases")

"""Filling a Postgres database from a copy, within the transaction of its caller."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from meshd.store.postgres_pool import UNHURRIED
from meshd.store.postgres_reading import PostgresReading, same_columns
from meshd.store.reading import Reading, Table, ordered
from meshd.store.tally import storable


async def load(copy: Reading, connection: Any, folders: Sequence[Path]) -> None:
    """Put the rows of `copy` in place of those that are there; both have the same migrations.

    Text with U+0000 gets U+FFFD for it. Numbers of rows go on behind the last that was ever given.

    Raises:
        StoreError: a table differs.
    """
    target = PostgresReading(connection, folders)
    there = {table.name: table for table in await target.tables()}
    tables = ordered(await copy.tables())
    await connection.execute(
        f"TRUNCATE {', '.join(table.named for table in tables)}", timeout=UNHURRIED
    )
    for table in tables:
        same_columns(table, there)
        statement = _insert(table)
        async for batch in copy.rows(table):
            # COPY, which is faster, is refused where row security holds.
            await connection.executemany(statement, map(storable, batch), timeout=UNHURRIED)
    counted = await target.counted()
    for name, last in (await copy.counters()).items():
        if name in counted and last > 0:
            sequence = counted[name][1]
            await connection.execute("SELECT setval($1::text::regclass, $2)", sequence, last)


async def others(connection: Any) -> int:
    """How many other connections under the same name the database has: those of daemons."""
    count = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND application_name = current_setting('application_name')"
    )
    return int(count)


def _insert(table: Table) -> str:
    marks = ", ".join(f"${number}" for number in range(1, len(table.columns) + 1))
    return f"INSERT INTO {table.named} ({table.listed}) OVERRIDING SYSTEM VALUE VALUES ({marks})"  # noqa: S608 - our schema

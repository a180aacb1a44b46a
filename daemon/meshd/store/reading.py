"""Reading a whole database, the same from SQLite files and from Postgres. No dialect is here.

For what looks at every table there is: status, backups, moves. Statements are made of the names of
tables and columns that the database itself lists, so they stand in no `.sql` file.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Protocol

from meshd.store import migrate
from meshd.store.db import Dialect

MAIN_FILE, CALLS_FILE = "main.db", "calls.db"
"""The two files of a copy, each a plain SQLite database without a log beside it."""
BATCH = 500
"""Rows that are in memory at one time."""

Values = tuple[Any, ...]
"""One row, in the order of its table's columns."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of ours. `after` names those that its rows refer to."""

    name: str
    columns: tuple[str, ...]
    after: frozenset[str] = frozenset()

    @property
    def named(self) -> str:
        """Its quoted name."""
        return f'"{self.name}"'

    @property
    def listed(self) -> str:
        """Its quoted columns."""
        return ", ".join(f'"{column}"' for column in self.columns)

    @property
    def select(self) -> str:
        """The statement for every row."""
        return f"SELECT {self.listed} FROM {self.named}"  # noqa: S608 - names of our own schema

    @property
    def count(self) -> str:
        """The statement for the number of rows."""
        return f"SELECT count(*) FROM {self.named}"  # noqa: S608 - names of our own schema


@dataclass(frozen=True, slots=True)
class Applied:
    """A migration that was applied; `at` is in microseconds since the epoch."""

    number: int
    name: str
    checksum: str
    at: int

    def __str__(self) -> str:
        return f"{self.number:04}_{self.name}"


class Reading(Protocol):
    """One database as it is, both parts of it: the main one and the call records.

    Every method raises `StoreError` for what cannot be read.
    """

    dialect: Dialect

    async def fetch(self, sql: str) -> list[Values]:
        """The rows of a statement that has few."""
        ...

    def rows(self, table: Table) -> AsyncIterator[Sequence[Values]]:
        """Every row, in batches, in no promised order."""
        ...

    async def tables(self) -> list[Table]:
        """Every table but the ledgers of migrations."""
        ...

    async def applied(self) -> list[Applied]:
        """The ledgers of migrations, by number; nothing in a database without any."""
        ...

    async def counters(self) -> Mapping[str, int]:
        """The last number given by each table that counts its rows; they are never given again."""
        ...

    async def size(self) -> int:
        """Bytes on disk."""
        ...

    async def flaw(self) -> str | None:
        """What a quick look at the database's own structures finds wrong."""
        ...

    async def open_rows(self) -> list[str]:
        """Why row security does not stand between orgs; nothing where it does, or there is none."""
        ...

    async def copy_into(self, folder: Path) -> None:
        """Write `MAIN_FILE` and `CALLS_FILE`, both synced and for the owner alone."""
        ...


def ordered(tables: Sequence[Table]) -> list[Table]:
    """Those that others refer to first."""
    known = {table.name: table for table in tables}
    order = TopologicalSorter({one.name: one.after - {one.name} for one in tables})
    return [known[name] for name in order.static_order() if name in known]


async def counts(reading: Reading) -> dict[str, int]:
    """The number of rows of each table, by name."""
    return {
        table.name: (await reading.fetch(table.count))[0][0]
        for table in sorted(await reading.tables(), key=lambda table: table.name)
    }


async def pending(reading: Reading, folders: Sequence[Path]) -> list[str]:
    """The migrations of `folders` that are missing, as `NNNN_name`.

    Raises:
        SchemaNewer: the database has one that is in no folder.
        StoreError: a file changed after it was applied.
    """
    known = [one for folder in folders for one in migrate.discover(folder, reading.dialect)]
    applied = {one.number: one.checksum for one in await reading.applied()}
    return [str(one) for one in migrate.plan(known, applied)]

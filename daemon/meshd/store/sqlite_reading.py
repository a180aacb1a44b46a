"""Reading the two SQLite files of a daemon, also beside one that runs: nothing here can write."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from meshd.store import migrate
from meshd.store.db import Dialect, StoreUnavailable
from meshd.store.reading import BATCH, CALLS_FILE, MAIN_FILE, Applied, Table, Values

BUSY_S = 5.0
_PARTS = ("main", "calls")
"""The two files as one connection names them."""

T = TypeVar("T")


class SqliteReading:
    """A `Reading` of two files. Made by `read_files`; the calls of one reader follow each other."""

    dialect: Dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection, files: Sequence[Path]) -> None:
        self._connection = connection
        self._files = files

    async def fetch(self, sql: str) -> list[Values]:
        """See `Reading.fetch`."""
        return await self._run(lambda: self._connection.execute(sql).fetchall())

    async def rows(self, table: Table) -> AsyncIterator[Sequence[Values]]:
        """See `Reading.rows`."""
        cursor = await self._run(lambda: self._connection.execute(table.select))
        while batch := await self._run(lambda: cursor.fetchmany(BATCH)):
            yield batch

    async def tables(self) -> list[Table]:
        """See `Reading.tables`."""
        return [
            await self._table(part, name)
            for part in _PARTS
            for (name,) in await self.fetch(
                f"SELECT name FROM {part}.sqlite_master WHERE type = 'table'"  # noqa: S608 - a constant
                " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
            )
            if name != migrate.TABLE
        ]

    async def applied(self) -> list[Applied]:
        """See `Reading.applied`."""
        found = []
        for part in _PARTS:
            if await self._has(part, migrate.TABLE):
                rows = await self.fetch(
                    f"SELECT number, name, checksum, applied_at FROM {part}.{migrate.TABLE}"  # noqa: S608 - constants
                )
                found += [Applied(*row) for row in rows]
        return sorted(found, key=lambda one: one.number)

    async def counters(self) -> Mapping[str, int]:
        """See `Reading.counters`."""
        return {
            name: last
            for part in _PARTS
            if await self._has(part, "sqlite_sequence")
            for name, last in await self.fetch(f"SELECT name, seq FROM {part}.sqlite_sequence")  # noqa: S608 - a constant
        }

    async def size(self) -> int:
        """See `Reading.size`. A log that is not yet in its file counts too."""
        paths = [path.with_name(path.name + more) for path in self._files for more in ("", "-wal")]
        return sum(path.stat().st_size for path in paths if path.exists())

    async def flaw(self) -> str | None:
        """See `Reading.flaw`."""
        for part in _PARTS:
            ((said,), *_) = await self.fetch(f"PRAGMA {part}.quick_check(1)")
            if said != "ok":
                return f"{part}: {said}"
        return None

    async def open_rows(self) -> list[str]:
        """See `Reading.open_rows`. Files have none."""
        return []

    async def copy_into(self, folder: Path) -> None:
        """See `Reading.copy_into`.

        Each file is copied as of one moment, and has what was committed before. A writer goes on
        meanwhile; its log only grows until the copy is done.
        """
        for part, name in zip(_PARTS, (MAIN_FILE, CALLS_FILE), strict=True):
            await self._run(lambda part=part, name=name: self._copy(part, folder / name))  # type: ignore[misc]

    def _copy(self, part: str, path: Path) -> None:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            self._connection.execute(f"VACUUM {part} INTO ?", (str(path),))
            os.fsync(file)
        finally:
            os.close(file)

    async def _table(self, part: str, name: str) -> Table:
        about = f"('{name}', '{part}')"
        columns = await self.fetch(f"SELECT name FROM pragma_table_info{about}")  # noqa: S608 - our schema
        refers = await self.fetch(f'SELECT "table" FROM pragma_foreign_key_list{about}')  # noqa: S608 - our schema
        return Table(
            name, tuple(column for (column,) in columns), frozenset(other for (other,) in refers)
        )

    async def _has(self, part: str, table: str) -> bool:
        rows = await self.fetch(f"SELECT 1 FROM {part}.sqlite_master WHERE name = '{table}'")  # noqa: S608 - constants
        return bool(rows)

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except (sqlite3.Error, UnicodeDecodeError, OSError) as error:
            # The text of an error may quote a value.
            name = getattr(error, "sqlite_errorname", type(error).__name__)
        raise StoreUnavailable(f"the database cannot be read: {name}")


@asynccontextmanager
async def read_files(main: Path, calls: Path) -> AsyncIterator[SqliteReading]:
    """Both files until the block is left.

    Raises:
        StoreUnavailable: one is missing, or is no database.
    """
    connection = await asyncio.to_thread(_connect, main, calls)
    try:
        yield SqliteReading(connection, (main, calls))
    finally:
        await asyncio.to_thread(connection.close)


def _connect(main: Path, calls: Path) -> sqlite3.Connection:
    uris = [f"{path.absolute().as_uri()}?mode=ro" for path in (main, calls)]
    try:
        connection = sqlite3.connect(
            uris[0], uri=True, isolation_level=None, timeout=BUSY_S, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA mmap_size=0")
            connection.execute("ATTACH ? AS calls", (uris[1],))
            # Opening reads nothing yet.
            for part in _PARTS:
                connection.execute(f"SELECT count(*) FROM {part}.sqlite_master").fetchone()  # noqa: S608 - a constant
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{main} and {calls.name}: {error}") from None
    return connection

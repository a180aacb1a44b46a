"""The SQLite driver: one file, its writer thread, its read-only connections.

How writes are grouped and what their failures mean is the writer's; which migrations are missing
is the migration planner's.
"""

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import aiosqlite

from meshd.core.beside import one_by_one
from meshd.store import intact, migrate
from meshd.store.db import (
    Dialect,
    ExpectFailed,
    Row,
    Step,
    StoreDamaged,
    StoreError,
    StoreUnavailable,
)
from meshd.store.migrate import Migration
from meshd.store.queries import Queries, Query
from meshd.store.slow import watched
from meshd.store.sqlite_rows import statements
from meshd.store.writer import When, Writer, fault, is_unavailable, out_of_order

log = logging.getLogger(__name__)

READERS = 2
"""Read-only connections, each with its thread: a long list does not hold up the other."""
BUSY_MS = 5_000
"""How long SQLite waits for a lock that another process holds."""
LOG_LIMIT = 16 * 1024 * 1024
"""Bytes of the write-ahead log from which on it is moved into the file. A page that changed many
times is moved once, so that a small log costs a steady writer a third of its time."""
CHECK_SECONDS = 1.0
"""How long a start looks for damage in a file that no daemon closed in order."""
_CACHED_STATEMENTS = 512
_OLDEST = (3, 35)  # the first with RETURNING

_READER_PRAGMAS = (f"busy_timeout={BUSY_MS}", "mmap_size=0", "query_only=ON")
_WRITER_PRAGMAS = ("mmap_size=0", "foreign_keys=ON", "secure_delete=ON", "wal_autocheckpoint=0")
# On macOS fsync() leaves data in the drive's cache; fullfsync flushes that too.
_DURABLE_PRAGMAS = ("synchronous=FULL", "fullfsync=ON", "checkpoint_fullfsync=ON")
_LOSSY_PRAGMAS = ("synchronous=NORMAL",)

T = TypeVar("T")
_Bound = tuple[Query, dict[str, Any] | list[dict[str, Any]], int | None]


class SqliteDatabase:
    """A `Database` on one SQLite file. Made by `open()`, bound to the event loop that called it."""

    dialect: Dialect = "sqlite"

    def __init__(
        self,
        queries: Queries,
        migrations: Path,
        writer: Writer,
        readers: Sequence[aiosqlite.Connection],
        resources: AsyncExitStack,
    ) -> None:
        self._queries = queries
        self._migrations = migrations
        self._writer = writer
        self._resources = resources
        self._closed = False
        self._idle: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        for reader in readers:
            self._idle.put_nowait(reader)

    @classmethod
    async def open(
        cls, path: Path, queries: Queries, *, migrations: Path, durable: bool = True
    ) -> Self:
        """Open the file, or create it with mode 0600. Its directory must exist.

        Not `durable` means `synchronous=NORMAL`: a power cut may take the last writes with it,
        never the file's consistency.

        Raises:
            StoreError: SQLite is too old.
            StoreUnavailable: the file cannot be made.
            StoreDamaged: it is not a database, or not as the last daemon left it.
        """
        async with AsyncExitStack() as resources:
            connect = partial(connect_writer, path, durable=durable)
            checkpoints = _Checkpoints(path)
            writer = await Writer.open(connect, checkpoints)
            # Readers close first: the last connection to close must be the one that may checkpoint.
            resources.push_async_callback(_close_writer, writer, checkpoints, path)
            try:
                readers = [await _open_reader(path, resources) for _ in range(READERS)]
            except sqlite3.Error as error:
                raise out_of_order(str(path), error) from error
            return cls(queries, migrations, writer, readers, resources.pop_all())

    @property
    def commits(self) -> int:
        """Write transactions so far; far fewer than writes when many callers write at once."""
        return self._writer.commits

    async def all(self, query: str, /, **params: Any) -> list[Row]:
        """See `Database.all`."""
        found = self._queries.query(query)
        bound = found.bind(params)
        reader = await self._idle.get()
        try:
            if self._closed:
                raise StoreUnavailable("the database is closed")
            return await _read(reader, found, bound)
        finally:
            self._idle.put_nowait(reader)

    async def one(self, query: str, /, **params: Any) -> Row | None:
        """See `Database.one`."""
        rows = await self.all(query, **params)
        return rows[0] if rows else None

    async def write(self, *steps: Step) -> list[list[Row]]:
        """See `Database.write`."""
        bound: list[_Bound] = []
        for step in steps:
            query = self._queries.query(step.query)
            if step.rows is None:
                bound.append((query, query.bind(step.params), step.expect))
            else:
                bound.append((query, await one_by_one(query.bind, step.rows), None))
        return await self._writer.submit(partial(_run_steps, bound)) if bound else []

    async def write_many(self, query: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """See `Database.write_many`."""
        found = self._queries.query(query)
        bound = [found.bind(row) for row in rows]
        if bound:
            await self._writer.submit(partial(_run_many, found, bound))

    async def wipe(self) -> None:
        """See `Database.wipe`. What is deleted is overwritten at once; the log has it until now."""
        if not await self._writer.empty_log():
            log.warning(
                "the log still holds what was deleted; it is emptied at the latest at the end"
            )

    def on_change(self, ring: Callable[[], None]) -> None:
        """See `Database.on_change`. A file has one daemon, so there is no other to tell of."""

    async def pending(self) -> list[str]:
        """See `Database.pending`."""
        return [str(migration) for migration in await self._missing()]

    async def migrate(self) -> list[int]:
        """See `Database.migrate`. Each file is one transaction, together with its record."""
        missing = await self._missing()
        if missing:
            await self._writer.submit(_make_ledger)
        for migration in missing:
            await self._writer.submit(partial(_apply, migration))
        return [migration.number for migration in missing]

    async def close(self) -> None:
        """See `Database.close`."""
        self._closed = True
        await self._resources.aclose()

    async def _missing(self) -> list[Migration]:
        known = await asyncio.to_thread(migrate.discover, self._migrations, self.dialect)
        return migrate.plan(known, await self._writer.submit(_applied))


def connect_writer(path: Path, *, durable: bool, busy_ms: int = BUSY_MS) -> sqlite3.Connection:
    """The writing connection, usable on the calling thread only.

    Raises:
        StoreError: SQLite is too old.
        StoreUnavailable: the file cannot be made.
        StoreDamaged: it is not a database, or not as the last daemon left it.
    """
    if sqlite3.sqlite_version_info < _OLDEST:
        raise StoreError(
            f"SQLite {sqlite3.sqlite_version} is too old; 3.35 is the oldest that does"
        )
    try:
        sealed = intact.check(path, log=durable)
        intact.forget(path)
        _create(path)
        connection = sqlite3.connect(
            _uri(path, "rw"),
            uri=True,
            isolation_level=None,
            cached_statements=_CACHED_STATEMENTS,
        )
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(f"{path}: {error}") from error
    try:
        _prepare(connection, durable, busy_ms)
        if not sealed:
            _check_structure(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise out_of_order(f"{path}: {error}", error) from error
    except StoreError:
        connection.close()
        raise
    return connection


async def _close_writer(writer: Writer, checkpoints: "_Checkpoints", path: Path) -> None:
    await writer.close()
    checkpoints.close()
    if not writer.failed:
        with suppress(OSError):  # without a seal the next start checks what it can
            await asyncio.to_thread(intact.seal_closed, path)


class _Checkpoints:
    """Moves a grown log into its file, which is without a seal for that time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._next = 0
        self._file: FileIO | None = None

    def close(self) -> None:
        """End it, once no connection in this process has the file open."""
        if self._file is not None:
            self._file.close()

    def __call__(self, connection: sqlite3.Connection, when: When) -> bool:
        """Do it the first and the last time, when it is wished for, and when the log is large."""
        if when == "after" and self._log.stat().st_size < self._next:
            return False
        intact.forget(self._path)
        patience = connection.execute("PRAGMA busy_timeout").fetchone()["timeout"]
        connection.execute("PRAGMA busy_timeout=0")  # a reader is not worth waiting for
        try:
            done = not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()["busy"]
        finally:
            connection.execute(f"PRAGMA busy_timeout={patience}")
        self._next = LOG_LIMIT if done else self._log.stat().st_size + LOG_LIMIT
        if done and when != "end":
            # Not buffered: what was read once would hide what is there now.
            self._file = self._file or self._path.open("rb", buffering=0)
            intact.seal_in_use(self._path, self._file)
        return done


def _check_structure(connection: sqlite3.Connection, path: Path) -> None:
    """Read the whole file for pages that make no sense, for as long as a start may take.

    Raises:
        StoreDamaged: there is one.
    """
    deadline = time.monotonic() + CHECK_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    try:
        (row,) = connection.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        log.warning("%s is large: only a part of it was checked", path)
        return
    finally:
        connection.set_progress_handler(None, 0)
    if row["quick_check"] != "ok":
        raise StoreDamaged(f"{path}: {row['quick_check'].splitlines()[-1]}")


def _prepare(connection: sqlite3.Connection, durable: bool, busy_ms: int) -> None:
    connection.row_factory = _as_dict
    mode = _DURABLE_PRAGMAS if durable else _LOSSY_PRAGMAS
    for pragma in (f"busy_timeout={busy_ms}", *_WRITER_PRAGMAS, *mode):
        connection.execute(f"PRAGMA {pragma}")
    journal = connection.execute("PRAGMA journal_mode=WAL").fetchone()["journal_mode"]
    if journal != "wal":
        raise sqlite3.OperationalError(f"the file system allows no WAL, only {journal}")
    # A log left by a failed sync may hold pages that never reached the disk. Moved into the file
    # and synced before anything new is acknowledged, it cannot cut off what would follow it.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _create(path: Path) -> None:
    """Make an empty file that only its owner may read, whatever the umask, if there is none.

    SQLite gives the log and its index the mode of the file.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    try:
        os.fchmod(file, 0o600)
    finally:
        os.close(file)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _uri(path: Path, mode: Literal["ro", "rw"]) -> str:
    return f"{path.absolute().as_uri()}?mode={mode}"


async def _open_reader(path: Path, resources: AsyncExitStack) -> aiosqlite.Connection:
    reader = await resources.enter_async_context(
        aiosqlite.connect(
            _uri(path, "ro"),
            uri=True,
            isolation_level=None,
            cached_statements=_CACHED_STATEMENTS,
        )
    )
    reader.row_factory = _as_dict  # type: ignore[assignment]
    for pragma in _READER_PRAGMAS:
        await reader.execute_fetchall(f"PRAGMA {pragma}")
    return reader


async def _read(reader: aiosqlite.Connection, query: Query, params: dict[str, Any]) -> list[Row]:
    try:
        with watched(query.name):
            rows: list[Any] = [*await reader.execute_fetchall(query.sql, params)]
    except Exception as error:  # noqa: BLE001 - overflow and encoding errors quote values
        failure = fault(query.name, error, await _reader_flaw(reader, query))
    else:
        return rows
    raise failure  # not in the except clause: see _attempt


def _as_dict(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> Row:
    return {column[0]: value for column, value in zip(cursor.description, values, strict=True)}


def _run_steps(steps: Sequence[_Bound], connection: sqlite3.Connection) -> list[list[Row]]:
    return [_run_step(connection, *step) for step in steps]


def _run_step(
    connection: sqlite3.Connection,
    query: Query,
    params: dict[str, Any] | list[dict[str, Any]],
    expect: int | None,
) -> list[Row]:
    if isinstance(params, list):
        _run_many(query, params, connection)
        return []
    cursor = connection.cursor()
    rows: list[Row] = _attempt(
        connection, query, lambda: cursor.execute(query.sql, params).fetchall()
    )
    if expect is not None:
        got = len(rows) if cursor.description else _changed(connection, cursor)
        if got != expect:
            raise ExpectFailed(query.name, expect, got)
    return rows


def _changed(connection: sqlite3.Connection, cursor: sqlite3.Cursor) -> int:
    """Rows changed. The cursor does not count for a statement that starts with WITH."""
    if cursor.rowcount >= 0:
        return cursor.rowcount
    changed: int = connection.execute("SELECT changes() AS n").fetchone()["n"]
    return changed


def _run_many(query: Query, rows: Sequence[dict[str, Any]], connection: sqlite3.Connection) -> None:
    def run() -> None:
        for sql, times in statements(query, rows):
            connection.executemany(sql, times)

    _attempt(connection, query, run)


def _attempt(connection: sqlite3.Connection, query: Query, run: Callable[[], T]) -> T:
    """Run a query; what fails in it becomes the store's error, what fails below stays raw."""
    try:
        with watched(query.name):
            return run()
    except Exception as error:
        if is_unavailable(error):
            raise
        failure = fault(query.name, error, _writer_flaw(connection, query))
    # Raised out here, it does not drag the library's error and its values along.
    raise failure


def _explain(query: Query) -> tuple[str, dict[str, None]]:
    """What fails only if the statement's text does, whatever the values."""
    return f"EXPLAIN {query.sql}", dict.fromkeys(query.params)


def _writer_flaw(connection: sqlite3.Connection, query: Query) -> str:
    try:
        connection.execute(*_explain(query)).fetchall()
    except sqlite3.Error as error:
        return str(error)
    return ""


async def _reader_flaw(reader: aiosqlite.Connection, query: Query) -> str:
    try:
        await reader.execute_fetchall(*_explain(query))
    except sqlite3.Error as error:
        return str(error)
    except ValueError:  # closed meanwhile
        pass
    return ""


def _make_ledger(connection: sqlite3.Connection) -> None:
    connection.execute(migrate.LEDGER)


def _applied(connection: sqlite3.Connection) -> dict[int, str]:
    tables = {row["name"] for row in connection.execute("SELECT name FROM sqlite_master")}
    if migrate.TABLE not in tables:
        return {}
    return {row["number"]: row["checksum"] for row in connection.execute(migrate.APPLIED)}


def _apply(migration: Migration, connection: sqlite3.Connection) -> None:
    try:
        for statement in migrate.statements(migration.script):
            connection.execute(statement)
    except sqlite3.Error as error:
        if is_unavailable(error):
            raise
        raise StoreError(f"{migration.file}: {error}") from error
    connection.execute(
        migrate.RECORD,
        {
            "number": migration.number,
            "name": migration.name,
            "checksum": migration.checksum,
            "applied_at": time.time_ns() // 1_000,
        },
    )

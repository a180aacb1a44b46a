"""The one thread that writes to an SQLite file: queue, group commit, checkpoints, faults.

Every write and every checkpoint of a file goes through one connection on one thread, because
SQLite before 3.51.3 can corrupt a write-ahead log that two connections write or checkpoint at
once. Units that queue up while a commit syncs share the next one, so a full sync for every
acknowledgement costs little. What a unit does is its caller's business.
"""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Self, TypeVar

from meshd.store.db import StoreError, StoreUnavailable, UniqueViolation

T = TypeVar("T")

GROUP_LIMIT = 128
"""Units in one transaction at most."""
QUEUE_LIMIT = 10_000
"""Units that may wait for the writer; further callers wait for a place."""

# After these nothing that the connection says can be relied on. A failed sync in particular may
# leave pages marked clean that never reached the disk, so trying again would seem to work.
_FATAL = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNAVAILABLE = _FATAL | {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}
_TAKEN = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_ROWID,
}


def is_unavailable(error: BaseException) -> bool:
    """Whether the database failed, rather than the statement."""
    return _primary(error) in _UNAVAILABLE


def fault(query: str, error: Exception, flaw: str = "") -> StoreError:
    """The store's error for what the library raised while it ran a query.

    `flaw` is the library's text if the statement fails without any values too. The text of other
    runtime errors may quote a value, so the error's name stands for it.
    """
    if is_unavailable(error):
        return StoreUnavailable(f"{query}: {_name(error)}")
    if _code(error) in _TAKEN:
        return UniqueViolation(query, str(error).partition(": ")[2])
    if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
        # The names of constraints, columns and parameters, and the types of values.
        return StoreError(f"{query}: {error}")
    return StoreError(f"{query}: {flaw or _name(error)}")


def _code(error: BaseException) -> int:
    """SQLite's extended result code, or 0 for an error that is not SQLite's."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code


def _primary(error: BaseException) -> int:
    return _code(error) & 0xFF


def _name(error: Exception) -> str:
    """`SQLITE_BUSY` and the like, or the exception's type."""
    name: str = getattr(error, "sqlite_errorname", type(error).__name__)
    return name


@dataclass(frozen=True, slots=True)
class _Unit:
    """One unit of work; without work it is a wish that the log be emptied."""

    work: Callable[[sqlite3.Connection], Any] | None
    done: asyncio.Future[Any]


class Writer:
    """Runs units of work in the order of their submission, many to a transaction.

    A unit is a function of the connection. It runs inside a transaction that it must not end, and
    may run again in a smaller group when a neighbour fails, so it changes nothing but the
    database. An exception undoes it alone.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], queue_limit: int) -> None:
        self._connect = connect
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._closing = False
        self._failed = False
        self._places = asyncio.Semaphore(queue_limit)
        self._queue: SimpleQueue[_Unit | None] = SimpleQueue()
        # A daemon thread: a process that forgets close() still ends, and loses nothing committed.
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self.commits = 0

    @classmethod
    async def open(
        cls, connect: Callable[[], sqlite3.Connection], *, queue_limit: int = QUEUE_LIMIT
    ) -> Self:
        """Start the thread, which makes and keeps the connection. Raises what `connect` raises."""
        writer = cls(connect, queue_limit)
        writer._thread.start()
        try:
            await writer._opened
        except BaseException:
            writer._queue.put(None)
            raise
        return writer

    async def submit(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run one unit and return its answer once it is committed.

        Raises:
            StoreUnavailable: the writer is closed or broken, or the commit failed.
        """
        answer: T = await self._submit(work)
        return answer

    async def empty_log(self) -> bool:
        """Move the log into the file and cut it, so that no old page is left in it.

        False if a reader was in the way, or the disk; the log is then emptied later.

        Raises:
            StoreUnavailable: the writer is closed.
        """
        emptied: bool = await self._submit(None)
        return emptied

    async def _submit(self, work: Callable[[sqlite3.Connection], Any] | None) -> Any:
        await self._places.acquire()
        if self._closing:
            self._places.release()
            raise StoreUnavailable("the database is closed")
        unit = _Unit(work, self._loop.create_future())
        self._queue.put(unit)
        return await unit.done

    async def close(self) -> None:
        """Finish what is queued, checkpoint and end the thread."""
        if not self._closing:
            self._closing = True
            self._queue.put(None)
        await asyncio.shield(self._closed)
        self._thread.join()

    # On the event loop, called by the thread.

    def _deliver(self, units: Sequence[_Unit], outcomes: Sequence[object]) -> None:
        for unit, outcome in zip(units, outcomes, strict=True):
            self._places.release()
            _resolve(unit.done, outcome)

    # On the thread.

    def _run(self) -> None:
        try:
            connection = self._connect()
        except Exception as error:  # noqa: BLE001 - handed to the caller of open()
            self._tell(_resolve, self._opened, error)
            return
        self._tell(_resolve, self._opened, None)
        try:
            while self._serve(connection):
                pass
            # If it fails the log stays and is read at the next open: nothing is lost.
            _empty_log(connection)
        finally:
            connection.close()
            self._tell(_resolve, self._closed, None)

    def _serve(self, connection: sqlite3.Connection) -> bool:
        """Run one group; whether there is more to come."""
        items = [self._queue.get()]
        while len(items) < GROUP_LIMIT and not self._queue.empty():
            items.append(self._queue.get())
        asked = [item for item in items if item is not None]
        units = [item for item in asked if item.work is not None]
        if units:
            self._tell(self._deliver, units, self._settle(connection, units))
        if wishes := [item for item in asked if item.work is None]:
            self._tell(self._deliver, wishes, [_empty_log(connection)] * len(wishes))
        return len(asked) == len(items)

    def _settle(self, connection: sqlite3.Connection, units: Sequence[_Unit]) -> list[object]:
        """Each unit's answer or its exception, after all that succeeded are committed.

        A group with a failing unit is undone and done again by halves: order holds, and the
        failing one ends up alone in its transaction.
        """
        if self._failed:
            text = "the database failed to write and must be reopened"
            return [StoreUnavailable(text) for _ in units]
        try:
            return self._transact(connection, units)
        except Exception as error:  # noqa: BLE001 - every exception belongs to some caller
            self._failed = _primary(error) in _FATAL or connection.in_transaction
            if self._failed or is_unavailable(error):
                return [StoreUnavailable(f"the write failed: {_name(error)}") for _ in units]
            if len(units) == 1:
                # An error of the library itself is one of COMMIT: a deferred constraint.
                return [fault("commit", error) if isinstance(error, sqlite3.Error) else error]
        half = len(units) // 2
        return [
            *self._settle(connection, units[:half]),
            *self._settle(connection, units[half:]),
        ]

    def _transact(self, connection: sqlite3.Connection, units: Sequence[_Unit]) -> list[object]:
        """All the units' answers, committed; or an exception and nothing done."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            answers: list[object] = [unit.work(connection) for unit in units if unit.work]
            connection.execute("COMMIT")
        except BaseException:
            # Some errors have rolled back already.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self.commits += 1
        return answers

    def _tell(self, callback: Callable[..., None], *args: object) -> None:
        # A closed loop has nobody left who could be told.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)


def _empty_log(connection: sqlite3.Connection) -> bool:
    """Whether the log is empty now."""
    try:
        (blocked, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone().values()
    except sqlite3.Error:
        return False
    return not blocked


def _resolve(future: asyncio.Future[Any], outcome: object) -> None:
    """Hand an answer or an exception to whoever still waits."""
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)

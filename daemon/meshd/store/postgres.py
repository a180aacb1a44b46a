"""The Postgres driver: named queries over a pool, one transaction a unit, migrations under a lock.

Connections, errors and hints between daemons have files of their own.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from meshd.core.beside import one_by_one
from meshd.core.tasks import TaskGroup
from meshd.store import migrate
from meshd.store.db import Dialect, ExpectFailed, Row, Step, StoreError
from meshd.store.migrate import Migration
from meshd.store.postgres_dsn import read_dsn
from meshd.store.postgres_faults import RAISED, Undone, fault
from meshd.store.postgres_pool import EVERY, PASSES_ROW_SECURITY, QUEUE_LIMIT, Pool, connect
from meshd.store.postgres_signals import Signals
from meshd.store.queries import Queries, Query, statement
from meshd.store.slow import watched

log = logging.getLogger(__name__)

TRIES = 3
"""How often a unit runs that the server undoes to end a conflict."""
MIGRATING = 3600.0
"""Seconds that a migration, or another daemon that migrates, may take."""
# The number spells "meshd".
_LOCK = "SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(x'6d65736864'::bigint)"
_UNGUARDED = statement("row_security", PASSES_ROW_SECURITY)
_RECORD = statement("schema_migrations", migrate.RECORD)

T = TypeVar("T")
_Bound = tuple[Query, tuple[Any, ...] | list[tuple[Any, ...]], int | None]


class PostgresDatabase:
    """A `Database` on one schema of a Postgres server, which other daemons may use as well.

    Made by `open()`, bound to the event loop that called it. Units that are written at once run at
    once. Text in Postgres has no U+0000; U+FFFD stands for it, in what is stored and looked up.
    """

    dialect: Dialect = "postgres"

    def __init__(
        self,
        queries: Queries,
        migrations: Sequence[Path],
        pool: Pool,
        signals: Signals,
        resources: AsyncExitStack,
    ) -> None:
        self._queries = queries
        self._migrations = migrations
        self._pool = pool
        self._signals = signals
        self._resources = resources

    @classmethod
    async def open(
        cls,
        dsn: str,
        queries: Queries,
        *,
        migrations: Sequence[Path],
        ssl: bool = False,
        relaxed: bool = False,
        queue_limit: int = QUEUE_LIMIT,
    ) -> Self:
        """Connect. The tables of every folder in `migrations` live in this one database.

        What `ssl` and `relaxed` mean, and what a DSN may say, is told at `read_dsn`. A `relaxed`
        database neither sends nor hears hints: what is written to it is nothing to act upon.

        Raises:
            StoreError: the DSN cannot be read.
            StoreUnavailable: the server cannot be reached, or refuses.
        """
        target = read_dsn(dsn, ssl=ssl, relaxed=relaxed)
        async with AsyncExitStack() as resources:
            tasks = await resources.enter_async_context(TaskGroup("store"))
            pool = await Pool.open(target, queue_limit=queue_limit)
            # Closed first, so that it refuses at once.
            resources.push_async_callback(pool.close)
            signals = Signals(partial(connect, target))
            if not relaxed and not target.bouncer:
                tasks.start("signals", signals.run())
            return cls(queries, migrations, pool, signals, resources.pop_all())

    async def all(self, query: str, /, **params: Any) -> list[Row]:
        """See `Database.all`."""
        found = self._queries.query(query)
        values, org = _values(found, params), _org([(found, params)])
        # What no org owns needs no transaction, which would be two more round trips.
        opened = self._pool.connection() if org is None else self._pool.transaction(org)
        return await _mapped(query, opened, lambda connection: _fetch(connection, found, values))

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
                bound.append((query, _values(query, step.params), step.expect))
            else:
                values = await one_by_one(partial(_values, query), step.rows)
                bound.append((query, values, None))
        if not bound:
            return []
        org = _org(
            [
                (self._queries.query(step.query), params)
                for step in steps
                for params in ((step.params,) if step.rows is None else step.rows)
            ]
        )
        answer = await self._transact(partial(_run_steps, bound), org)
        self._signals.announce()
        return answer

    async def write_many(self, query: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """See `Database.write_many`."""
        found = self._queries.query(query)
        bound = [_values(found, row) for row in rows]
        if bound:
            org = _org([(found, row) for row in rows])
            await self._transact(partial(_run_many, found, bound), org)
            self._signals.announce()

    async def wipe(self) -> None:
        """See `Database.wipe`."""

    def on_change(self, ring: Callable[[], None]) -> None:
        """See `Database.on_change`."""
        self._signals.on_ring(ring)

    async def pending(self) -> list[str]:
        """See `Database.pending`."""
        known = await asyncio.to_thread(self._discover)
        applied = await _mapped("the migrations", self._pool.connection(), _applied)
        return [str(migration) for migration in migrate.plan(known, applied)]

    async def migrate(self) -> list[int]:
        """See `Database.migrate`. Each file is one transaction, together with its record.

        Daemons that start together take turns, file by file.
        """
        known = await asyncio.to_thread(self._discover)
        done: list[int] = []
        while (number := await self._transact(partial(_migrate_next, known))) is not None:
            done.append(number)
        if not await self.is_guarded():
            log.warning(
                "the database's role is a superuser or has BYPASSRLS, so its row security does not"
                " stand between orgs; give meshd a role of its own"
            )
        return done

    async def is_guarded(self) -> bool:
        """Whether row security applies to the role that this daemon signs in as.

        Raises:
            StoreUnavailable: the database cannot answer.
        """
        work = partial(_fetch, query=_UNGUARDED, values=())
        rows = await _mapped(_UNGUARDED.name, self._pool.connection(), work)
        return not any(row["passes"] for row in rows)

    @asynccontextmanager
    async def at_length(self, name: str, *, frozen: bool) -> AsyncIterator[Any]:
        """A connection to the whole database in one transaction: see `Pool.unhurried`.

        Raises:
            StoreError: what the server or its library refuses in the block; `name` says of what.
        """
        try:
            async with self._pool.unhurried(frozen=frozen) as connection:
                yield connection
        except RAISED as error:
            failure = fault(name, error)
        else:
            return
        raise failure  # not in the except clause: see _attempt

    async def close(self) -> None:
        """See `Database.close`."""
        await self._resources.aclose()

    def _discover(self) -> list[Migration]:
        return [
            migration
            for folder in self._migrations
            for migration in migrate.discover(folder, self.dialect)
        ]

    async def _transact(self, work: Callable[[Any], Awaitable[T]], org: str | None = None) -> T:
        """Run a unit in a transaction of its own, again if the server undid it."""
        for _ in range(TRIES - 1):
            with suppress(Undone):
                return await _mapped("the write", self._pool.transaction(org), work)
        return await _mapped("the write", self._pool.transaction(org), work)


async def _mapped(
    name: str,
    connecting: AbstractAsyncContextManager[Any],
    work: Callable[[Any], Awaitable[T]],
) -> T:
    """Run work on a connection. `name` stands in the errors of what is no query of it."""
    try:
        async with connecting as connection:
            return await work(connection)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - errors of the library may quote values
        failure = fault(name, error)
    raise failure  # not in the except clause: see _attempt


def _values(query: Query, params: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(map(_storable, query.bind(params).values()))


def _org(unit: Sequence[tuple[Query, Mapping[str, Any]]]) -> str | None:
    """Whose rows a unit is about; None if it touches nothing that an org owns.

    Raises:
        StoreError: it is about several.
    """
    orgs = {
        EVERY if query.reach == "every" else str(params["org_id"])
        for query, params in unit
        if query.reach != "instance"
    }
    if len(orgs) > 1:
        raise StoreError("a unit is about one org")
    return orgs.pop() if orgs else None


def _storable(value: Any) -> Any:
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


async def _run_steps(steps: Sequence[_Bound], connection: Any) -> list[list[Row]]:
    return [await _run_step(connection, *step) for step in steps]


async def _run_step(
    connection: Any,
    query: Query,
    values: tuple[Any, ...] | list[tuple[Any, ...]],
    expect: int | None,
) -> list[Row]:
    if isinstance(values, list):
        await _run_many(query, values, connection)
        return []
    rows: list[Row] = []
    if query.returns:
        rows = await _fetch(connection, query, values)
        got = len(rows)
    else:
        tag = await _attempt(query, connection.execute(query.numbered, *values))
        got = int(tag.rpartition(" ")[2])  # "UPDATE 3", "INSERT 0 3"
    if expect is not None and got != expect:
        raise ExpectFailed(query.name, expect, got)
    return rows


async def _fetch(connection: Any, query: Query, values: tuple[Any, ...]) -> list[Row]:
    records = await _attempt(query, connection.fetch(query.numbered, *values))
    return [dict(record) for record in records]


async def _run_many(query: Query, rows: Sequence[tuple[Any, ...]], connection: Any) -> None:
    await _attempt(query, connection.executemany(query.numbered, rows))


async def _attempt(query: Query, running: Awaitable[T]) -> T:
    """Wait for a query; what fails in it becomes the store's error."""
    try:
        with watched(query.name):
            return await running
    except Exception as error:  # noqa: BLE001 - all of the library's, and errors of encoding
        failure = fault(query.name, error)
    # Raised out here, it does not drag the library's error and its values along.
    raise failure


async def _migrate_next(known: Sequence[Migration], connection: Any) -> int | None:
    """Apply the first migration that is missing; None if there is none."""
    # The lock ends with the transaction, however that ends and whichever pooler stands between.
    await connection.execute(_LOCK, timeout=MIGRATING)
    await connection.execute(migrate.LEDGER)
    missing = migrate.plan(known, await _applied(connection))
    if not missing:
        return None
    await _apply(missing[0], connection)
    return missing[0].number


async def _applied(connection: Any) -> dict[int, str]:
    # In this schema: another on the search path may be that of another installation.
    here = "SELECT to_regclass(format('%I.%I', current_schema(), $1::text)) IS NOT NULL"
    if not await connection.fetchval(here, migrate.TABLE):
        return {}
    return {row["number"]: row["checksum"] for row in await connection.fetch(migrate.APPLIED)}


async def _apply(migration: Migration, connection: Any) -> None:
    try:
        await connection.execute(migration.script, timeout=MIGRATING)
    except Exception as error:  # noqa: BLE001 - errors of the library may quote what is stored
        failure = fault(migration.file, error)
    else:
        await connection.execute(
            _RECORD.numbered,
            *_values(
                _RECORD,
                {
                    "number": migration.number,
                    "name": migration.name,
                    "checksum": migration.checksum,
                    "applied_at": time.time_ns() // 1_000,
                },
            ),
        )
        return
    raise failure

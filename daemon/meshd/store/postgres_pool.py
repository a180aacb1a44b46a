"""Connections to Postgres: a pool with bounds, and what every connection has. No query is here."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import asyncpg  # type: ignore[import-untyped]  # it has no types

from meshd.store.db import StoreError, StoreUnavailable
from meshd.store.postgres_dsn import Target
from meshd.store.postgres_faults import RAISED, unreachable

LARGEST = 10
IDLE = 300.0
"""Seconds until a connection that nobody needs is closed, down to one."""
ACQUIRE = 30.0
"""Seconds that a call waits for its connection."""
RELEASE = 5.0
"""Seconds for a call that was given up to be cancelled on the server; then its connection goes."""
CLOSE = 5.0
UNHURRIED = 86_400.0
"""Seconds for one statement of what goes through the whole database."""
PASSES_ROW_SECURITY = (
    "SELECT rolsuper OR rolbypassrls AS passes FROM pg_roles WHERE rolname = current_user"
)
"""Whether no row security holds for the role that is signed in."""
QUEUE_LIMIT = 10_000
"""Calls that may be under way or wait; one more is refused."""
EVERY = "*"
"""In place of an org's id: the rows of every org."""
_ORG = re.compile(r"[A-Za-z0-9_]{1,64}|\*")
_KEEP_ALIVE = 10
"""Seconds of silence after which TCP asks whether the other side is there, and between two asks."""
# Row security, where a migration turns it on, lets an org's rows through by this name.
_PATIENT = """
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
SELECT set_config('meshctl.org', '*', true);
"""


class Pool:
    """At most `LARGEST` connections, and a bounded number of calls that want one."""

    def __init__(self, pool: Any, queue_limit: int) -> None:
        self._pool = pool
        self._queue_limit = queue_limit
        self._closed = False
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @classmethod
    async def open(cls, target: Target, *, queue_limit: int = QUEUE_LIMIT) -> Self:
        """Connect once, so that a wrong DSN is told here.

        Raises:
            StoreUnavailable: the server cannot be reached, or refuses.
        """
        try:
            pool = await asyncpg.create_pool(
                min_size=1, max_size=LARGEST, max_inactive_connection_lifetime=IDLE,
                init=keep_alive, reset=_leave, **target.options,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - a DSN can be wrong in many ways
            failure = unreachable(error)
        else:
            return cls(pool, queue_limit)
        raise failure  # not in the except clause: the library's error may quote the DSN

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection for the block. What the library raises passes as it is.

        Raises:
            StoreUnavailable: the pool is closed, or too many calls wait.
        """
        if self._closed:
            raise StoreUnavailable("the database is closed")
        if self._calls >= self._queue_limit:
            raise StoreUnavailable("too many calls wait for the database")
        self._calls += 1
        self._idle.clear()
        try:
            connection = await self._pool.acquire(timeout=ACQUIRE)
            try:
                yield connection
            finally:
                # If it cannot be released it is gone. The block's own end must not be lost over it.
                with suppress(*RAISED):
                    await self._pool.release(connection, timeout=RELEASE)
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    @asynccontextmanager
    async def transaction(self, org: str | None = None) -> AsyncIterator[Any]:
        """As `connection`, in a transaction that the block's end commits and an exception undoes.

        It sees the rows of `org` alone, those of `EVERY` org, or none that an org owns. That is
        said in the message that begins it: no round trip more, and it ends with the transaction,
        whatever pooler stands between.

        Not the library's own context: when it cannot roll back, that hides the exception, and a
        task that is cancelled would never hear of it.
        """
        beginning = _beginning(org)
        async with self.connection() as connection:
            try:
                await connection.execute(beginning)
                yield connection
            except BaseException:
                with suppress(*RAISED):
                    async with asyncio.timeout(RELEASE):
                        await connection.execute("ROLLBACK")
                raise
            await connection.execute("COMMIT")

    @asynccontextmanager
    async def unhurried(self, *, frozen: bool) -> AsyncIterator[Any]:
        """As `transaction`, for as long as it takes and over the rows of every org.

        A `frozen` one sees the database as of its first statement, and changes nothing.
        """
        async with self.connection() as connection:
            transaction = connection.transaction(
                isolation="repeatable_read" if frozen else None, readonly=frozen
            )
            await transaction.start()
            try:
                await connection.execute(_PATIENT)
                yield connection
            except BaseException:
                with suppress(*RAISED):
                    async with asyncio.timeout(RELEASE):
                        await transaction.rollback()
                raise
            await transaction.commit()

    async def close(self) -> None:
        """Refuse what comes, finish what is there, then disconnect. Twice does no harm."""
        self._closed = True
        await self._idle.wait()
        with suppress(*RAISED):  # it ends every connection then, too
            async with asyncio.timeout(CLOSE):
                await self._pool.close()


def _beginning(org: str | None) -> str:
    """The statements that begin a transaction. Simple ones take no parameters, hence the check."""
    if org is None:
        return "BEGIN"
    if not _ORG.fullmatch(org):
        raise StoreError("that is not the id of an org")
    return f"BEGIN; SET LOCAL meshctl.org = '{org}'"


async def connect(target: Target) -> Any:
    """A connection outside any pool. Raises what the library does."""
    connection = await asyncpg.connect(**target.options)
    await keep_alive(connection)
    return connection


async def keep_alive(connection: Any) -> None:
    """Notice a peer that went without a word, and keep address translators from forgetting us."""
    raw = connection._transport.get_extra_info("socket")  # noqa: SLF001 - there is no option for it
    if raw.family == socket.AF_UNIX:
        return
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # The first is called otherwise on macOS.
    for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL"):
        if option := getattr(socket, name, None):
            raw.setsockopt(socket.IPPROTO_TCP, option, _KEEP_ALIVE)


async def _leave(_connection: Any) -> None:
    """Nothing: whatever a unit sets ends with its transaction, which the library makes sure of."""

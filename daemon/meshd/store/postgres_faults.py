"""What Postgres and its library raise, as the store's errors, without any value."""

import re

import asyncpg  # type: ignore[import-untyped]  # it has no types

from meshd.store.db import StoreError, StoreUnavailable, UniqueViolation

RAISED = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What the library raises, but for values that do not fit."""
_UNAVAILABLE = {"08", "28", "3D", "53", "57", "58", "XX"}
"""Classes of SQLSTATE: connection, sign-in, no database, resources, operator, system, bug."""
_UNAVAILABLE_STATES = {
    "25006",  # a standby, which takes no writes
    "25P03",  # the transaction was idle for too long
    "55P03",  # a lock was not to be had
}
_UNDONE = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.InvalidCachedStatementError,  # a migration elsewhere changed what it was made for
)
# "Key (org_id, name)=(…)", in whatever language. Expressions have parentheses of their own.
_KEY = re.compile(r'[^(]*\(([\w", ]+)\)=\(')


class Undone(StoreUnavailable):
    """The server undid the unit to end a conflict with another. Tried again it may succeed."""


def fault(query: str, error: Exception) -> StoreError:
    """The store's error for what the library raised while it ran a query.

    The server's text may quote values, so the error's name stands for it; except for a flaw in the
    statement itself, which the server finds before it looks at any value and marks with its
    position.
    """
    name = type(error).__name__
    if isinstance(error, _UNDONE):
        return Undone(f"{query}: {name}")
    if is_unavailable(error):
        return StoreUnavailable(f"{query}: {name}")
    if isinstance(error, asyncpg.UniqueViolationError):
        return UniqueViolation(query, _columns(error))
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        about = error.constraint_name or error.column_name or ""
        return StoreError(f"{query}: {name} {about}".rstrip())
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate[:2] == "42" and error.position:
        return StoreError(f"{query}: {error.args[0]}")
    return StoreError(f"{query}: {name}")


def is_unavailable(error: Exception) -> bool:
    """Whether the database failed, rather than the statement."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return state[:2] in _UNAVAILABLE or state in _UNAVAILABLE_STATES
    return isinstance(error, RAISED)  # closed, closing, out of time


def unreachable(error: Exception) -> StoreUnavailable:
    """The error for what was raised while connecting.

    Texts of the server and the system name hosts, users and databases. Others may quote the DSN,
    in which a password stands.
    """
    told = isinstance(error, asyncpg.PostgresError | OSError) and str(error)
    return StoreUnavailable(f"Postgres cannot be reached: {told or type(error).__name__}")


def _columns(error: asyncpg.UniqueViolationError) -> str:
    """The key as SQLite names it: `table.column, table.column` or `index 'NAME'`."""
    key = _KEY.match(error.detail or "")
    if key is None:
        return f"index '{error.constraint_name}'"
    columns = key[1].replace('"', "").split(", ")
    return ", ".join(f"{error.table_name}.{column}" for column in columns)

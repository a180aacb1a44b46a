"""Which store error stands for what the library raises, as a table."""

import asyncpg
import pytest

from meshd.store.db import StoreError, StoreUnavailable
from meshd.store.postgres_faults import Undone, fault


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (asyncpg.ConnectionDoesNotExistError, StoreUnavailable),
        (asyncpg.InvalidPasswordError, StoreUnavailable),
        (asyncpg.InvalidCatalogNameError, StoreUnavailable),
        (asyncpg.TooManyConnectionsError, StoreUnavailable),
        (asyncpg.DiskFullError, StoreUnavailable),
        (asyncpg.AdminShutdownError, StoreUnavailable),
        (asyncpg.CannotConnectNowError, StoreUnavailable),
        (asyncpg.QueryCanceledError, StoreUnavailable),
        (asyncpg.PostgresIOError, StoreUnavailable),
        (asyncpg.DataCorruptedError, StoreUnavailable),
        (asyncpg.ReadOnlySQLTransactionError, StoreUnavailable),
        (asyncpg.IdleInTransactionSessionTimeoutError, StoreUnavailable),
        (asyncpg.LockNotAvailableError, StoreUnavailable),
        (asyncpg.InterfaceError, StoreUnavailable),
        (asyncpg.TargetServerAttributeNotMatched, StoreUnavailable),
        (ConnectionResetError, StoreUnavailable),
        (TimeoutError, StoreUnavailable),
        (asyncpg.DeadlockDetectedError, Undone),
        (asyncpg.SerializationError, Undone),
        (asyncpg.InvalidCachedStatementError, Undone),
        (asyncpg.CheckViolationError, StoreError),
        (asyncpg.NumericValueOutOfRangeError, StoreError),
        (asyncpg.DataError, StoreError),
        (asyncpg.UndefinedTableError, StoreError),
        (asyncpg.InFailedSQLTransactionError, StoreError),
        (OverflowError, StoreError),
    ],
)
def test_what_failed_is_told_by_name(error, kind):
    told = fault("thing.do", error("hunter2"))
    assert type(told) is kind
    assert str(told) == f"thing.do: {error.__name__}"

"""The port to the database: what a driver offers, a step of a write, and the errors.

Callers know this file and the names in `sql/*.sql`, never a driver. Errors name the query and,
where it helps, tables and columns; they never carry a parameter or a stored value.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Row = dict[str, Any]
"""One result row: column name to value."""

Dialect = Literal["sqlite", "postgres"]


class StoreError(Exception):
    """The store could not do what was asked."""


class QueryUnknown(StoreError):
    """No `.sql` file holds a query of this name."""


class SchemaNewer(StoreError):
    """A later release migrated the database; this one does not know what it finds."""


class UniqueViolation(StoreError):
    """A row of this key exists already.

    `columns` names the key as the database does: `keys.org, keys.name`, or `index 'NAME'` for an
    index over expressions.
    """

    def __init__(self, query: str, columns: str) -> None:
        super().__init__(f"{query}: {columns} must be unique")
        self.query = query
        self.columns = columns


class ExpectFailed(StoreError):
    """A step returned or changed another number of rows than it had to."""

    def __init__(self, query: str, expected: int, got: int) -> None:
        super().__init__(f"{query}: expected {expected} rows, got {got}")
        self.query = query
        self.expected = expected
        self.got = got


class StoreUnavailable(StoreError):
    """The database is closed, out of reach, busy beyond its timeout, full, or its disk failed.

    Whether the failed write is in the database is unknown after a failed sync and after a
    connection lost on the way; else it is not.
    """


class StoreDamaged(StoreUnavailable):
    """The database's file holds what nobody wrote. Only a backup helps."""


@dataclass(frozen=True, slots=True)
class Step:
    """One named statement of an atomic unit.

    `expect` is the number of rows that must be returned (if the statement returns rows) or
    changed; any other number undoes the whole unit and raises `ExpectFailed`. Steps that belong to
    it (`also`) follow it in its unit; `ScopedDatabase` spreads them out, and answers for it alone.
    With `rows` the statement is run once for each of them, and answers nothing.
    """

    query: str
    params: Mapping[str, Any] = field(default_factory=dict)
    expect: int | None = None
    also: "tuple[Step, ...]" = ()
    rows: Sequence[Mapping[str, Any]] | None = None


class Database(Protocol):
    """Named queries on one database.

    Every method raises `QueryUnknown` for a name that is in no file, `StoreError` for a missing
    parameter and `StoreUnavailable` when the database cannot answer. Parameters that a query does
    not name are ignored. `org_id` is also the org of a unit: where the server guards rows by org,
    it lets through those of that org alone.
    """

    dialect: Dialect

    async def all(self, query: str, /, **params: Any) -> list[Row]:
        """Every row of a reading query. Sees each write that returned before the call."""
        ...

    async def one(self, query: str, /, **params: Any) -> Row | None:
        """The first row of a reading query."""
        ...

    async def write(self, *steps: Step) -> list[list[Row]]:
        """Run the steps as one atomic unit and return when it is durable.

        The answer holds the RETURNING rows of each step, `[]` for a step without. A caller that is
        cancelled cannot know whether its unit was done; it never is by half. Units that are written
        at once may be done in any order.

        Raises:
            UniqueViolation: a key is taken.
            ExpectFailed: a step met another number of rows than it expects.
        """
        ...

    async def write_many(self, query: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run one statement for each row of parameters, all as one atomic unit."""
        ...

    async def wipe(self) -> None:
        """Leave of what was deleted no copy in the database's own files, as far as it can be done.

        A server's files are the server's: there it does nothing, and a vacuum does it in time.
        """
        ...

    def on_change(self, ring: Callable[[], None]) -> None:
        """Call `ring`, on the event loop, when another daemon may have changed something.

        A hint that says nothing more and may be lost: whoever must see a change polls as well.
        Never called where no other daemon can use the database.
        """
        ...

    async def pending(self) -> list[str]:
        """The migrations that are missing, in order, as `NNNN_name`. Changes nothing.

        Raises:
            StoreError: a file changed after it was applied, or the database belongs to a later
                release.
        """
        ...

    async def migrate(self) -> list[int]:
        """Apply the missing migrations in order; the numbers applied."""
        ...

    async def close(self) -> None:
        """Finish the writes that are queued, then refuse everything. Twice does no harm."""
        ...

"""A database in which what an org owns is reached through that org's own handle, or not at all."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from meshd.core.beside import one_by_one
from meshd.store.db import Database, Dialect, Row, Step, StoreError
from meshd.store.queries import Queries


class ScopedDatabase:
    """A `Database` without orgs of its own: what belongs to one is asked of `org(ID)`.

    Its own verbs run what belongs to nobody, and the few queries that reach over every org (see
    `ownership`). They refuse a query that names an org.
    """

    def __init__(self, database: Database, queries: Queries) -> None:
        """`queries` are those that the database runs."""
        self._database = database
        self._queries = queries

    @property
    def dialect(self) -> Dialect:
        """See `Database.dialect`."""
        return self._database.dialect

    def org(self, org: str) -> "OrgDatabase":
        """What the org of this id owns."""
        return OrgDatabase(self._database, self._queries, org)

    async def all(self, query: str, /, **params: Any) -> list[Row]:
        """See `Database.all`."""
        return await self._database.all(self._open(query), **params)

    async def one(self, query: str, /, **params: Any) -> Row | None:
        """See `Database.one`."""
        return await self._database.one(self._open(query), **params)

    async def write(self, *steps: Step) -> list[list[Row]]:
        """See `Database.write`."""
        spread = [one for step in steps for one in (step, *step.also)]
        for step in spread:
            self._open(step.query)
        return _answers(steps, await self._database.write(*spread))

    async def wipe(self) -> None:
        """See `Database.wipe`."""
        await self._database.wipe()

    def on_change(self, ring: Callable[[], None]) -> None:
        """See `Database.on_change`."""
        self._database.on_change(ring)

    async def pending(self) -> list[str]:
        """See `Database.pending`."""
        return await self._database.pending()

    async def migrate(self) -> list[int]:
        """See `Database.migrate`."""
        return await self._database.migrate()

    async def close(self) -> None:
        """See `Database.close`."""
        await self._database.close()

    def _open(self, query: str) -> str:
        if self._queries.query(query).reach == "org":
            raise StoreError(f"{query} belongs to an org: ask org(ID)")
        return query


class OrgDatabase:
    """The verbs of a `Database` on what one org owns. `org_id` is filled in, and never another.

    A unit may also hold steps about what belongs to nobody.
    """

    __slots__ = ("_database", "_org", "_queries")

    def __init__(self, database: Database, queries: Queries, org: str) -> None:
        self._database = database
        self._queries = queries
        self._org = org

    async def all(self, query: str, /, **params: Any) -> list[Row]:
        """See `Database.all`."""
        return await self._database.all(query, **self._mine(query, params))

    async def one(self, query: str, /, **params: Any) -> Row | None:
        """See `Database.one`."""
        return await self._database.one(query, **self._mine(query, params))

    async def write(self, *steps: Step) -> list[list[Row]]:
        """See `Database.write`."""
        spread = [one for step in steps for one in (step, *step.also)]
        rows = await self._database.write(*[await self._scoped(one) for one in spread])
        return _answers(steps, rows)

    async def write_many(self, query: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """See `Database.write_many`."""
        await self._database.write_many(query, [self._mine(query, row) for row in rows])

    async def _scoped(self, step: Step) -> Step:
        if step.rows is None:
            return Step(step.query, self._mine(step.query, step.params), step.expect)
        return Step(step.query, rows=await one_by_one(partial(self._mine, step.query), step.rows))

    def _mine(self, query: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if self._queries.query(query).reach == "every":
            raise StoreError(f"{query} reaches over all orgs")
        if params.get("org_id", self._org) != self._org:
            raise StoreError(f"{query}: it is about another org")
        return {**params, "org_id": self._org}


def _answers(steps: Sequence[Step], rows: list[list[Row]]) -> list[list[Row]]:
    """The rows of the steps themselves, without those of the steps that belong to them."""
    answers, at = [], 0
    for step in steps:
        answers.append(rows[at])
        at += 1 + len(step.also)
    return answers

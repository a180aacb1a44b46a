"""Lists of the newest of many, of which a filter may leave few: looked for in slices, back in time.

Each slice is one short query, so that others find a reader of the database in between.
"""

import asyncio
from typing import Any

from meshd.store.db import Row
from meshd.store.scoped import OrgDatabase

SLICE = 5000
"""Rows that one query looks at; more, where more came at the same moment than that."""
NOW = 2**63 - 1


class Newest:
    """The rows of one table, newest first."""

    def __init__(self, edge: str, listed: str) -> None:
        """`edge` tells where the slice `before` something begins; `listed` has its rows since."""
        self._edge, self._listed = edge, listed
        self._turn = asyncio.Lock()

    async def rows(self, db: OrgDatabase, limit: int, **asked: Any) -> list[Row]:
        """As many as there are, at most `limit`.

        Who has to go back further than one slice waits until nobody else does.
        """
        found, before = await self._slice(db, NOW, limit, asked)
        if before is not None and len(found) < limit:
            async with self._turn:
                while before is not None and len(found) < limit:
                    more, before = await self._slice(db, before, limit - len(found), asked)
                    found += more
        return found

    async def _slice(
        self, db: OrgDatabase, before: int, limit: int, asked: dict[str, Any]
    ) -> tuple[list[Row], int | None]:
        """What is found in it, and where the next one ends; None if this was the last."""
        edge = await db.one(self._edge, before=before, slice=SLICE)
        if edge is None or edge["since"] is None:
            return [], None
        since = int(edge["since"])
        rows = await db.all(self._listed, since=since, before=before, limit=limit, **asked)
        return rows, since

"""What follows a cursor, oldest first: who has caught up shares one reading with all who have.

Who is behind reads pages of its own, and holds few bytes of one however slowly they are taken.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager

from meshd.services.bell import Bell
from meshd.store.db import Row
from meshd.store.scoped import OrgDatabase, ScopedDatabase

FIRST, PAGE = 20, 200
"""Rows that are asked for at first, when nobody knows how large they are, and at most."""
POLL = 1.0
"""Seconds until it is looked although no bell rang."""
HELD = 64 * 1024
"""Bytes of a page that a reader holds, or one row that is larger."""
KEPT = 256 * 1024
"""Bytes of the newest rows of an org that are kept for those who follow it, or one larger row."""
ROW = 500
"""Bytes that a row takes beside its texts."""


class Tails:
    """The rows of one table by the number that grows with each, `seq`."""

    def __init__(self, after: str, last: str, db: ScopedDatabase, bell: Bell) -> None:
        """The query `after` gives what follows a cursor, `last` the newest cursor."""
        self._after, self._last = after, last
        self._db = db
        self._bell = bell
        self._fronts: dict[str, _Front] = {}

    async def rows(self, org: str, after: int, *, follow: bool) -> AsyncGenerator[Row | None, None]:
        """What follows the cursor; to `follow` has no end, and None where nothing came for a while.

        Close it: the newest rows are kept as long as somebody follows.
        """
        pages, looks = _Pages(self._db.org(org), self._after), 0
        with self._front(org) as front:
            while True:
                heard = self._bell.rung
                if follow and front.reaches(after) and front.next(after) is None:
                    looks = await front.look(looks)
                if follow and front.reaches(after):
                    while (row := front.next(after)) is not None:
                        after = row["seq"]
                        yield row
                    ended = front.reaches(after) and front.complete
                else:
                    for row in await pages.after(after):
                        after = row["seq"]
                        yield row
                    ended = pages.complete
                if ended and not follow:
                    return
                if ended:
                    yield None
                    await front.wait(heard)

    @contextmanager
    def _front(self, org: str) -> Iterator["_Front"]:
        front = self._fronts.get(org)
        if front is None:
            db = self._db.org(org)
            front = self._fronts[org] = _Front(db, self._last, _Pages(db, self._after), self._bell)
        front.followers += 1
        try:
            yield front
        finally:
            front.followers -= 1
            if not front.followers:
                del self._fronts[org]


class _Pages:
    """One page after the other; how many rows were held of the last says how many to ask for."""

    def __init__(self, db: OrgDatabase, query: str) -> None:
        self._db = db
        self._query = query
        self._limit = FIRST
        self.complete = False
        """Whether nothing followed the last page when it was read."""

    async def after(self, cursor: int) -> list[Row]:
        """As many rows as may be held."""
        rows = await self._db.all(self._query, after=cursor, limit=self._limit)
        held = _fitting(rows, HELD)
        self.complete = held == len(rows) < self._limit
        if held:
            self._limit = min(PAGE, held + 1 if held < len(rows) else 2 * held)
        return rows[:held]


class _Front:
    """The newest rows of an org, and one look at a time for what is newer still."""

    def __init__(self, db: OrgDatabase, last: str, pages: _Pages, bell: Bell) -> None:
        self._db = db
        self._last = last
        self._pages = pages
        self._bell = bell
        self._rows: list[Row] = []
        self._bytes = self._floor = self._top = 0
        self._heard = self._looks = 0
        self._looking: asyncio.Event | None = None
        self._waiting: asyncio.Event | None = None
        self.followers = 0

    @property
    def complete(self) -> bool:
        """Whether the last look found the end."""
        return self._pages.complete

    def reaches(self, cursor: int) -> bool:
        """Whether it reaches back to a cursor: all that follows, up to the last look, is here."""
        return self._floor <= cursor

    def next(self, cursor: int) -> Row | None:
        """The first row after a cursor, if it reaches back so far and there is one."""
        if not self._floor <= cursor < self._top:
            return None
        return self._rows[bisect_right(self._rows, cursor, key=_seq)]

    async def look(self, looks: int) -> int:
        """Read on, unless somebody has since the bell rang and after `looks`; how many there were.

        However many wake at the same moment, or poll in turn: one of them reads.
        """
        while self._heard != self._bell.rung or self._looks <= looks:
            if self._looking is not None:
                await self._looking.wait()
                continue
            looking = self._looking = asyncio.Event()
            try:
                await self._read()
            finally:
                self._looking = None
                looking.set()
            break
        return self._looks

    async def wait(self, heard: int) -> None:
        """As `Bell.wait`, for a poll's time. One of those who wait has the timer for all."""
        if self._bell.rung != heard:
            return
        if self._waiting is not None:
            await self._waiting.wait()
            return
        waiting = self._waiting = asyncio.Event()
        try:
            await self._bell.wait(POLL, heard)
        finally:
            self._waiting = None
            waiting.set()

    async def _read(self) -> None:
        heard = self._bell.rung
        if not self._looks:
            row = await self._db.one(self._last)
            self._floor = self._top = row["seq"] if row else 0
        rows = await self._pages.after(self._top)
        self._heard = heard
        self._looks += 1
        if not rows:
            return
        self._rows += rows
        self._top = rows[-1]["seq"]
        self._bytes += sum(map(_size, rows))
        dropped = 0
        while self._bytes > KEPT and dropped < len(self._rows) - 1:
            self._bytes -= _size(self._rows[dropped])
            dropped += 1
        if dropped:
            self._floor = self._rows[dropped - 1]["seq"]
            del self._rows[:dropped]


def _seq(row: Row) -> int:
    return int(row["seq"])


def _size(row: Row) -> int:
    return ROW + sum(len(value) for value in row.values() if isinstance(value, str))


def _fitting(rows: Sequence[Row], most: int) -> int:
    """How many of the first rows have at most so many bytes; one at least, if there is one."""
    held = 0
    for row in rows:
        most -= _size(row)
        if held and most < 0:
            break
        held += 1
    return held

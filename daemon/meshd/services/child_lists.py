"""What the connections behind virtual MCPs list, read into entries once for each list."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from msgspec import Raw

from meshd.services.composing import Exposed, Thing, of_connection
from meshd.services.directory import ConnectionRow
from meshd.services.served_lists import Served, ServedLists

MAX_ENTRIES = 10_000
"""Entries of one list that are kept."""
LONG = 64 * 1024
"""Bytes of a list that is read beside the event loop, which would stand still meanwhile."""


class Seen(NamedTuple):
    """What is known of one connection. `stamp` differs when the entries do.

    `listed_at` is in microseconds; `reason` says why they are no newer, or none.
    """

    entries: tuple[Exposed, ...] | None
    stamp: bytes
    listed_at: int
    reason: str | None


class _Read(NamedTuple):
    raw: bytes
    entries: tuple[Exposed, ...]


class ChildLists:
    """Lists of connections by kind, as entries."""

    def __init__(self, served: ServedLists) -> None:
        self._served = served
        self._read: dict[tuple[str, Thing], _Read] = {}

    def forget_others(self, connections: Iterable[str]) -> None:
        """Drop what is kept of all but these."""
        kept = set(connections)
        for key in [key for key in self._read if key[0] not in kept]:
            del self._read[key]

    async def seen(self, rows: Iterable[ConnectionRow], thing: Thing) -> dict[str, Seen]:
        """What each lists, by id; all that have to be asked are asked at the same time."""
        found = [(row, self._served.at_once(row, thing, of_many=True)) for row in rows]
        asked = (self._served.look(row, thing) for row, served in found if served is None)
        late = iter(await asyncio.gather(*asked))
        seen = {}
        for row, known in found:
            served = known or next(late)
            await self._read_beside(row, thing, served)
            seen[row.id] = self._seen(row, thing, served)
        return seen

    async def read_known(self, rows: Iterable[ConnectionRow], thing: Thing) -> None:
        """Have at hand what `known` gives; nothing is asked."""
        for row in tuple(rows):
            await self._read_beside(row, thing, self._served.known(row, thing))

    def known(self, rows: Iterable[ConnectionRow], thing: Thing) -> dict[str, Seen]:
        """The same as it is known now: nothing is asked."""
        return {row.id: self._seen(row, thing, self._served.known(row, thing)) for row in rows}

    def _seen(self, row: ConnectionRow, thing: Thing, served: Served) -> Seen:
        if served.listed is None:
            return Seen(None, b"", 0, served.reason)
        raw, listed_at = served.listed.raw, served.listed.listed_at
        read = self._read.get((row.id, thing))
        if read is None or read.raw != raw:
            read = self._read[row.id, thing] = _Read(raw, _entries(row.id, thing, raw))
        return Seen(read.entries, read.raw, listed_at, served.reason)

    async def _read_beside(self, row: ConnectionRow, thing: Thing, served: Served) -> None:
        raw = served.listed.raw if served.listed is not None else b""
        read = self._read.get((row.id, thing))
        if len(raw) >= LONG and (read is None or read.raw != raw):
            entries = await asyncio.to_thread(_entries, row.id, thing, raw)
            self._read[row.id, thing] = _Read(raw, entries)


def _entries(connection: str, thing: Thing, raw: bytes) -> tuple[Exposed, ...]:
    entries = msgspec.json.decode(raw, type=list[Raw])[:MAX_ENTRIES]
    return tuple(of_connection(connection, thing, entries))

"""Rows in one form for both databases, and the checksum over a table that is made of it.

The sum does not depend on the order of rows, which the databases sort differently. It finds what
was lost, doubled or changed by accident; it is no proof against somebody who wants to deceive.
"""

import hashlib
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from meshd.store.db import StoreError
from meshd.store.reading import Reading, Values

_SIZE = 32
_MODULUS = 1 << (8 * _SIZE)


@dataclass(slots=True)
class Tally:
    """What a table holds: rows, a sum over them, and how many had text with U+0000.

    Postgres has no such character. U+FFFD stands for it there, and in the sum of every database.
    """

    rows: int = 0
    total: int = 0
    with_nul: int = 0

    def add(self, rows: Iterable[Values]) -> None:
        """Count rows in."""
        for row in rows:
            digest = hashlib.sha256(canonical(row)).digest()
            self.total = (self.total + int.from_bytes(digest)) % _MODULUS
            self.rows += 1
            self.with_nul += any(isinstance(value, str) and "\0" in value for value in row)

    @property
    def checksum(self) -> str:
        """The sum in hexadecimal digits."""
        return self.total.to_bytes(_SIZE).hex()

    def same(self, other: "Tally") -> bool:
        """Whether both are about the same rows."""
        return (self.rows, self.total) == (other.rows, other.total)


async def tally(reading: Reading) -> Mapping[str, Tally]:
    """The tally of each table, by name."""
    found = {}
    for table in sorted(await reading.tables(), key=lambda table: table.name):
        # Columns by name: migrations may have added them in another order.
        order = sorted(range(len(table.columns)), key=table.columns.__getitem__)
        one = found[table.name] = Tally()
        async for batch in reading.rows(table):
            one.add(tuple(row[at] for at in order) for row in batch)
    return found


def storable(row: Values) -> Values:
    """A row as Postgres can hold it."""
    return tuple(v.replace("\0", "\ufffd") if isinstance(v, str) else v for v in row)


def canonical(row: Values) -> bytes:
    """A row as bytes that no other row has: each value behind its kind and its length.

    Raises:
        StoreError: a value is of a kind that a schema of ours does not have.
    """
    parts = []
    for value in storable(row):
        kind, data = _encoded(value)
        parts.append(kind + len(data).to_bytes(8) + data)
    return b"".join(parts)


def _encoded(value: Any) -> tuple[bytes, bytes]:
    match value:
        case None:
            return b"n", b""
        case int():  # a truth value is 0 or 1, as SQLite has it
            return b"i", b"%d" % value
        case float():
            return b"f", struct.pack(">d", value)
        case str():
            return b"t", value.encode()
        case bytes():
            return b"b", value
    raise StoreError(f"a value of type {type(value).__name__} has no form in the other database")

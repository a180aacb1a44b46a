"""Lists as encoded bytes, for all who may see the same: a client costs no encoding of its own."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

MAX_KEPT = 32 * 1024 * 1024
"""Bytes that are kept of all lists; those used longest ago give way."""


class Encoded(NamedTuple):
    """The bytes, and what they were made of: whoever asks tells whether that is still so."""

    made_of: object
    data: bytes


class EncodedLists:
    """By whatever tells lists apart."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Encoded] = OrderedDict()
        self._size = 0

    def get(self, key: Hashable) -> Encoded | None:
        """What is kept of a list."""
        if (kept := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
        return kept

    def keep(self, key: Hashable, made_of: object, data: bytes) -> None:
        """In the place of what was kept of it before."""
        before = self._kept.pop(key, None)
        self._size += len(data) - (len(before.data) if before is not None else 0)
        self._kept[key] = Encoded(made_of, data)
        while self._size > MAX_KEPT:
            _, gone = self._kept.popitem(last=False)
            self._size -= len(gone.data)

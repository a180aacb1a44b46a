"""How many streams of control calls are followed, and by whom: nobody takes everybody's share."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from meshd.core.http_limits import LIMITS, connections
from meshd.services.principal import Principal
from meshd.wire.errors import TooMany, Unavailable

MAX_STREAMS = 1000
"""Streams that all keys together follow at one time, and no more than half of the connections that
are let in: the others are for calls. The owner at the socket is not among them."""
MAX_OWN = 64
"""Streams that one of them follows, or the owner."""


class Followed:
    """Counts them."""

    def __init__(self) -> None:
        self._by = Counter[tuple[str, str]]()

    def __len__(self) -> int:
        return self._by.total()

    @contextmanager
    def one(self, who: Principal) -> Iterator[None]:
        """A stream is followed within the block.

        Raises:
            TooMany: whoever it is follows as many as one may.
            Unavailable: the keys together do.
        """
        whose = (who.kind, who.id)
        if self._by[whose] >= MAX_OWN:
            raise TooMany(f"{who.name} follows {MAX_OWN} streams already")
        if who.kind != "local" and self._of_keys >= _most():
            raise Unavailable(f"{_most()} streams are followed already")
        self._by[whose] += 1
        try:
            yield
        finally:
            self._by[whose] -= 1
            if not self._by[whose]:
                del self._by[whose]

    @property
    def _of_keys(self) -> int:
        return sum(count for (kind, _), count in self._by.items() if kind != "local")


def _most() -> int:
    return min(MAX_STREAMS, connections(LIMITS) // 2)

"""How often an address sent what it had not signed: a bucket each, in memory, kept by this daemon.

What is signed is never counted, so nobody pays for what others send. Only an address that one
client has is to be counted: behind a proxy or a tunnel the true sender has the forger's address.
"""

from collections.abc import Callable
from math import ceil

from meshd.services.rate_limit import Bucket
from meshd.wire.errors import RateLimited

PER_MINUTE = 60
MANY = 10_000
"""Addresses that are remembered; the one that is known for longest is forgotten for a new one."""


class Forgeries:
    """Turns an address away, before anything is read of it, that forged too much."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._buckets: dict[str, Bucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def check(self, address: str) -> None:
        """Pass an address that may try.

        Raises:
            RateLimited: it forged too much, with the seconds to wait.
        """
        bucket = self._buckets.get(address)
        if bucket is None:
            return
        bucket.fill(self._monotonic(), PER_MINUTE)
        if bucket.tokens < 1:
            wait = ceil((1 - bucket.tokens) * 60 / PER_MINUTE)
            raise RateLimited("too much came from here", facts={"retry_after_s": str(wait)})

    def count(self, address: str) -> None:
        """It forged once more."""
        now = self._monotonic()
        if address not in self._buckets and len(self._buckets) >= MANY:
            del self._buckets[next(iter(self._buckets))]
        self._buckets.setdefault(address, Bucket(PER_MINUTE, now)).take(now, PER_MINUTE)

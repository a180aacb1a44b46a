"""How many calls a minute a key may make: a token bucket each, in memory, kept by this daemon."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from meshd.services.principal import Principal
from meshd.wire.errors import RateLimited

MANY = 10_000
"""Buckets that are kept before those that are full again are dropped."""


@dataclass(slots=True)
class Bucket:
    """`tokens` left at the moment `at`; times in seconds."""

    tokens: float
    at: float

    def take(self, now: float, per_minute: int) -> float:
        """Take a token and give 0, or give the seconds until there is one."""
        self.fill(now, per_minute)
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) * 60 / per_minute

    def fill(self, now: float, per_minute: int) -> None:
        """What has come since; a whole minute's worth at most."""
        self.tokens = min(per_minute, self.tokens + (now - self.at) * per_minute / 60)
        self.at = now


class RateLimit:
    """Counts per key. `per_minute` may change while the daemon runs; None is no limit."""

    def __init__(self, per_minute: int | None, monotonic: Callable[[], float]) -> None:
        self.per_minute = per_minute
        self._monotonic = monotonic
        self._buckets: dict[str, Bucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def check(self, who: Principal) -> None:
        """Count one call of a key; who is no key has no limit.

        Raises:
            RateLimited: it made too many, with the seconds to wait.
        """
        if self.per_minute is None or who.kind != "key":
            return
        now = self._monotonic()
        bucket = self._buckets.get(who.id)
        if bucket is None:
            self._make_room(now, self.per_minute)
            bucket = self._buckets[who.id] = Bucket(self.per_minute, now)
        wait = bucket.take(now, self.per_minute)
        if wait:
            raise RateLimited(
                f"{who.name} made more than {self.per_minute} calls a minute",
                facts={"retry_after_s": str(ceil(wait))},
            )

    def _make_room(self, now: float, per_minute: int) -> None:
        if len(self._buckets) < MANY:
            return
        for bucket in self._buckets.values():
            bucket.fill(now, per_minute)
        self._buckets = {k: b for k, b in self._buckets.items() if b.tokens < per_minute}

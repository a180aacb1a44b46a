"""How many events a second an org may publish: a token bucket each, in memory, by daemon."""

from collections.abc import Callable

from meshd.wire.errors import RateLimited, TooLarge


class Quota:
    """`per_second` may change while the daemon runs. A second's worth may come at once."""

    def __init__(self, per_second: int, monotonic: Callable[[], float]) -> None:
        self.per_second = per_second
        self._monotonic = monotonic
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, org: str, count: int = 1) -> None:
        """Count so many at once, or none of them.

        Raises:
            RateLimited: they are too many, with the seconds to wait.
            TooLarge: they always will be.
        """
        if count > max(1, self.per_second):
            raise TooLarge(
                f"a batch has at most the {self.per_second} events that this org publishes a second"
            )
        now = self._monotonic()
        tokens, at = self._buckets.get(org, (float(self.per_second), now))
        tokens = min(self.per_second, tokens + (now - at) * self.per_second)
        if tokens < count:
            self._buckets[org] = tokens, now
            raise RateLimited(
                f"this org published more than {self.per_second} events a second",
                facts={"retry_after_s": "1"},
            )
        self._buckets[org] = tokens - count, now

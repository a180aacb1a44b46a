"""When a server that failed may be started again."""

from collections.abc import Callable
from math import ceil

from meshd.wire.errors import MeshError, UpstreamFailed

FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
"""Seconds between starts that fail: the first, doubled each time, up to the longest."""
STEADY = 60.0
"""Seconds a server has to live for its end to count as an accident, not as another failed start."""
SERVED = FIRST_WAIT
"""The same for one that answered: starting those at once is no faster than waiting once."""


class Backoff:
    """When the next start may be tried, and why not yet."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._faults = 0
        self._until = 0.0
        self._error: MeshError | None = None

    def failed(self, error: MeshError) -> None:
        """A start failed."""
        self._faults += 1
        self._remember(error, self._clock())

    def died(
        self, error: MeshError, *, born: float, at: float, ready: float, answered: bool
    ) -> None:
        """A started server ended. The first end in a row is forgiven: it is replaced at once.

        It was `born`, was `ready` for requests, and `answered` one or not. One that answered counts
        as well that served for a second, and for no less than its start took.
        """
        served = answered and at - ready >= max(SERVED, ready - born)
        if served or at - born >= STEADY:
            self._faults = 0
        self._faults += 1
        self._remember(error, at)
        if self._faults == 1:
            self._error = None

    def _remember(self, error: MeshError, at: float) -> None:
        self._until = at + min(FIRST_WAIT * 2 ** (self._faults - 1), LONGEST_WAIT)
        self._error = error

    @property
    def left(self) -> float:
        """Seconds until the next try."""
        return max(0.0, self._until - self._clock())

    @property
    def waits(self) -> bool:
        """Whether `check` would raise."""
        return self._error is not None and self._until > self._clock()

    def check(self) -> None:
        """Return when a start may be tried.

        Raises:
            UpstreamFailed: not yet; the remembered error, and when the next try is.
        """
        left = self.left
        if self._error is None or left <= 0:
            return
        facts = self._error.facts | {
            "next try": f"in {left:.1f} s", "retry_after_s": str(ceil(left)),
        }  # fmt: skip
        raise UpstreamFailed(self._error.message, next=self._error.next, facts=facts)

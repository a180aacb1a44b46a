"""Whether the machine slept: wall time went on then, and monotonic time did not."""

from collections.abc import Callable

JUMP = 30.0
"""Seconds that the two times may drift apart between two looks. A set clock looks like a sleep."""


class WakeWatch:
    """Compares two clocks, both in seconds, each time it is asked."""

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._clock = clock
        self._wall = wall
        self._apart = wall() - clock()

    def woke(self) -> bool:
        """Whether the machine slept since this was last asked."""
        before, self._apart = self._apart, self._wall() - self._clock()
        return abs(self._apart - before) > JUMP

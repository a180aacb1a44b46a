"""A clock that stands still until a test moves it."""

from dataclasses import dataclass


@dataclass
class FakeClock:
    """Wall time in microseconds (2026-11-23T12:00:00Z at first), monotonic time in seconds."""

    micros: int = 1_795_435_200_000_000
    seconds: float = 1000.0

    def now(self) -> int:
        return self.micros

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Move both times forward."""
        self.micros += round(seconds * 1_000_000)
        self.seconds += seconds

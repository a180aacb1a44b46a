"""How much may be on its way to a subscriber: little to one that always fails. No I/O."""

from dataclasses import dataclass

OPENS_AT = 20
"""Straight failures after which deliveries are held back."""
PROBE = 30.0
"""Seconds between two tries while they are."""


@dataclass(slots=True)
class Circuit:
    """Of one subscription. What is held back uses up no attempts. Times are monotonic seconds."""

    limit: int
    under_way: int = 0
    failures: int = 0
    probed_at: float = 0.0

    @property
    def open(self) -> bool:
        """Whether deliveries are held back."""
        return self.failures >= OPENS_AT

    def room(self, now: float) -> int:
        """How many deliveries may begin."""
        if not self.open:
            return max(self.limit - self.under_way, 0)
        return int(self.under_way == 0 and now - self.probed_at >= PROBE)

    def begin(self, now: float, count: int) -> None:
        """So many are on their way."""
        self.under_way += count
        self.probed_at = now

    def end(self, *, reached: bool) -> None:
        """One is not any more; `reached` says whether its subscriber took it."""
        self.under_way -= 1
        self.failures = 0 if reached else self.failures + 1

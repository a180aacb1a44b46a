"""Tool calls counted: by connection and outcome, by how long they took, and where.

Fed from the writer of call records, in batches: a call itself does nothing for it.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from meshd.services.record_rows import Ended, Kind, Taken

KINDS: tuple[Kind, ...] = get_args(Kind)
STAGES = ("receive", "decide", "upstream", "answer")
BOUNDS_US = (
    1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000, 30_000_000,
)  # fmt: skip
"""Upper bounds of the buckets, in microseconds; what took longer comes after the last."""
MAX_SERIES = 2_000
"""Connections that are counted at one time; beyond that the one counted for longest goes."""

Whose = tuple[str, str]
"""The ids of an org and of a connection: `self` is a connection of every org."""


@dataclass(slots=True)
class Series:
    """The calls of one connection. Buckets do not add up; times in microseconds."""

    kinds: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_US) + 1))
    total_us: int = 0

    @property
    def timed(self) -> int:
        """Calls whose duration is known: all but those whose record was dropped."""
        return sum(self.buckets)


class CallTally:
    """Numbers since the daemon was started."""

    def __init__(self) -> None:
        self._series: dict[Whose, Series] = {}
        self._stages = (0, 0, 0, 0)

    @property
    def series(self) -> Mapping[Whose, Series]:
        """What was counted, by connection."""
        return self._series

    @property
    def stages_us(self) -> Mapping[str, int]:
        """How long all calls together spent in each stage."""
        return dict(zip(STAGES, self._stages, strict=True))

    def count(self, calls: Sequence[Ended]) -> None:
        """Count calls whose answer was read."""
        received, decided, upstream, answered = self._stages
        for call in calls:
            series = self._of(call.taken)
            series.kinds[call.kind] += 1
            first, second, third, fourth = call.stages_us
            took = first + second + third + fourth
            series.buckets[bisect_left(BOUNDS_US, took)] += 1
            series.total_us += took
            received += first
            decided += second
            upstream += third
            answered += fourth
        self._stages = (received, decided, upstream, answered)

    def lose(self, taken: Taken) -> None:
        """Count a call whose record was dropped: how it went is not known."""
        self._of(taken).kinds["unread"] += 1

    def keep(self, whose: Collection[Whose]) -> None:
        """Forget connections that are none of these any more."""
        for gone in self._series.keys() - whose:
            del self._series[gone]

    def _of(self, taken: Taken) -> Series:
        whose = (taken.org, taken.connection_id)
        series = self._series.get(whose)
        if series is None:
            if len(self._series) >= MAX_SERIES:
                del self._series[next(iter(self._series))]
            series = self._series[whose] = Series()
        return series


def cumulated(buckets: Iterable[int]) -> list[int]:
    """Buckets as Prometheus has them: each holds those before it too."""
    total, sums = 0, []
    for count in buckets:
        total += count
        sums.append(total)
    return sums

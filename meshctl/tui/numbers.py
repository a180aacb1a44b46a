"""What the calls of the last minutes add up to. Pure: every time is given, in Unix seconds."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

WINDOW_SECONDS = 300
SLICES = 25

_BIN = math.log(1.04)
"""Durations are counted in bins 4 % wide, so that a busy window costs no more than a quiet one."""

_SHORTEST_MS = 0.001

_LEVELS = "▁▂▃▄▅▆▇█"
_ASCII_LEVELS = "_.:-=+*#"


@dataclass(frozen=True, slots=True)
class Numbers:
    """`p95` in milliseconds, within 2 %; `bars` are calls per slice of the window, oldest first."""

    calls: int
    failed: int
    p95: float | None
    bars: tuple[int, ...]


@dataclass(slots=True)
class _Second:
    calls: int = 0
    failed: int = 0
    bins: Counter[int] = field(default_factory=Counter)


class Window:
    """Counts calls by the second in which they began."""

    def __init__(self) -> None:
        self._seconds: dict[int, _Second] = {}
        self._bins: Counter[int] = Counter()

    def add(self, at: float, duration_ms: float, *, ok: bool) -> None:
        """Count one call."""
        second = self._seconds.setdefault(math.floor(at), _Second())
        number = math.floor(math.log(max(duration_ms, _SHORTEST_MS)) / _BIN)
        second.calls += 1
        second.failed += not ok
        second.bins[number] += 1
        self._bins[number] += 1

    def numbers(self, now: float) -> Numbers:
        """What stands in the window that ends at `now`; what left it is forgotten."""
        end = math.floor(now)
        self._forget(end - WINDOW_SECONDS)
        seconds = self._seconds.values()
        return Numbers(
            calls=sum(second.calls for second in seconds),
            failed=sum(second.failed for second in seconds),
            p95=self._percentile(0.95),
            bars=self._bars(end),
        )

    def _forget(self, end: int) -> None:
        """Drop the seconds up to and with `end`."""
        for moment in [moment for moment in self._seconds if moment <= end]:
            self._bins -= self._seconds.pop(moment).bins

    def _percentile(self, share: float) -> float | None:
        """The nearest rank, as the middle of its bin."""
        left = math.ceil(share * self._bins.total())
        for number in sorted(self._bins):
            left -= self._bins[number]
            if left <= 0:
                return math.exp((number + 0.5) * _BIN)
        return None

    def _bars(self, end: int) -> tuple[int, ...]:
        # Slices begin at multiples of their length: the bars march on, they do not flicker.
        length = WINDOW_SECONDS // SLICES
        last = end // length
        bars = [0] * SLICES
        for moment, second in self._seconds.items():
            index = SLICES - 1 - (last - moment // length)
            if 0 <= index < SLICES:
                bars[index] += second.calls
        return tuple(bars)


def sparkline(bars: Sequence[int], *, plain: bool = False) -> str:
    """A character per bar. Only nothing has the lowest level; `plain` keeps to ASCII."""
    levels = _ASCII_LEVELS if plain else _LEVELS
    top = max(bars, default=0)
    steps = len(levels) - 1
    return "".join(levels[math.ceil(bar * steps / top) if bar else 0] for bar in bars)

"""The numbers of the last five minutes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshctl.tui.numbers import SLICES, WINDOW_SECONDS, Window, sparkline

NOW = 1_000_000.5


def window(*calls: tuple[float, float, bool]) -> Window:
    made = Window()
    for ago, duration, ok in calls:
        made.add(NOW - ago, duration, ok=ok)
    return made


def test_an_empty_window_has_no_p95() -> None:
    """Nothing is not a time of zero."""
    found = Window().numbers(NOW)
    assert (found.calls, found.failed, found.p95) == (0, 0, None)
    assert found.bars == (0,) * SLICES


def test_calls_and_failures_are_counted() -> None:
    """Whatever second they fell in."""
    found = window((0, 5, True), (0, 5, False), (299, 5, False)).numbers(NOW)
    assert (found.calls, found.failed) == (3, 2)


@pytest.mark.parametrize(("ago", "calls"), [(0, 1), (299, 1), (301, 0), (90_000, 0)])
def test_what_is_older_than_the_window_is_left_out(ago: float, calls: int) -> None:
    """Also if it came in late."""
    assert window((ago, 5, True)).numbers(NOW).calls == calls


def test_calls_leave_the_window_as_time_passes() -> None:
    """With everything that they stood for, the percentile included."""
    held = window((0, 8000, False))
    held.add(NOW + 200, 10, ok=True)
    assert held.numbers(NOW + 200).p95 == pytest.approx(8000, rel=0.02)
    later = held.numbers(NOW + WINDOW_SECONDS)
    assert (later.calls, later.failed) == (1, 0)
    assert later.p95 == pytest.approx(10, rel=0.02)


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=300))
def test_p95_is_the_nearest_rank_within_two_percent(durations: list[float]) -> None:
    """As sorting all of them would give."""
    exact = sorted(durations)[math.ceil(0.95 * len(durations)) - 1]
    found = window(*((0, duration, True) for duration in durations)).numbers(NOW).p95
    assert found == pytest.approx(exact, rel=0.02)


def test_a_duration_of_zero_is_taken() -> None:
    """A stopwatch may well say so."""
    found = window((0, 0.0, True)).numbers(NOW).p95
    assert found is not None
    assert found < 0.01


def test_the_memory_does_not_grow_with_traffic() -> None:
    """Ten thousand equal calls in one second are one count."""
    held = Window()
    for _ in range(10_000):
        held.add(NOW, 5, ok=True)
    assert len(held._seconds) == 1
    assert len(held._bins) == 1


def test_bars_are_slices_of_twelve_seconds_oldest_first() -> None:
    """The last one is still filling."""
    found = window((0, 5, True), (0, 5, True), (15, 5, True), (275, 5, True)).numbers(NOW)
    assert found.bars[-1] == 2
    assert found.bars[-2] == 1
    assert found.bars[1] == 1
    assert sum(found.bars) == 4


@given(st.integers(0, 400))
def test_bars_march_on_and_do_not_flicker(later: int) -> None:
    """A call keeps to one bar, which moves left by one every twelve seconds."""
    start = 1_000_000.0
    held = Window()
    held.add(start, 5, ok=True)
    bars = held.numbers(start + later).bars
    wanted = SLICES - 1 - (later + 4) // 12
    assert bars.index(1) == wanted if wanted >= 0 else not any(bars)


@pytest.mark.parametrize(
    ("bars", "drawn", "plain"),
    [
        ((), "", ""),
        ((0, 0), "▁▁", "__"),
        ((0, 1, 7), "▁▂█", "_.#"),
        ((1, 1000), "▂█", ".#"),
        ((3, 3), "██", "##"),
    ],
)
def test_a_sparkline_has_a_character_per_bar(bars: tuple[int, ...], drawn: str, plain: str) -> None:
    """One call among a thousand is still seen."""
    assert sparkline(bars) == drawn
    assert sparkline(bars, plain=True) == plain

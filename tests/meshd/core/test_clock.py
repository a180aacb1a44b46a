"""Durations, instants, and their text forms."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.core.clock import END, SystemClock, instant, iso, iso_or_none, seconds
from meshd.wire.errors import BadRequest

NOW = 1_795_435_200_000_000  # 2026-11-23T12:00:00Z


@pytest.mark.parametrize(
    ("text", "value"),
    [("30s", 30), ("10m", 600), ("12h", 43_200), ("90d", 7_776_000), ("0s", 0), ("007s", 7)],
)
def test_durations(text: str, value: int) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "30",
        "-1s",
        "1.5h",
        "1w",
        "30S",
        " 30s",
        "30s ",
        "1h30m",
        "1e3s",
        "٣d",
        "1" * 10 + "s",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(BadRequest, match="not a duration") as refused:
        seconds(text)
    assert refused.value.message.isascii()


@pytest.mark.parametrize(
    ("text", "ahead", "expected"),
    [
        ("1h", True, "2026-11-23T13:00:00.000000Z"),
        ("1h", False, "2026-11-23T11:00:00.000000Z"),
        ("2026-11-23T14:00:00Z", True, "2026-11-23T14:00:00.000000Z"),
        ("2026-11-23T14:00:00+02:00", False, "2026-11-23T12:00:00.000000Z"),
        ("2026-11-23T14:00:00.123456", True, "2026-11-23T14:00:00.123456Z"),
        ("2026-12-01", True, "2026-12-01T00:00:00.000000Z"),
        ("1970-01-01T00:00:00Z", False, "1970-01-01T00:00:00.000000Z"),
    ],
)
def test_instants(text: str, ahead: bool, expected: str) -> None:
    assert iso(instant(text, NOW, ahead=ahead)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "2026-13-01", "12:00", "1h ago", "2026-11-23T25:00:00Z", "\x1b[31m"],
)
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(BadRequest, match="neither a duration nor an instant") as refused:
        instant(text, NOW, ahead=True)
    assert refused.value.message.isprintable()


@pytest.mark.parametrize(
    ("text", "ahead"),
    [
        ("999999999d", True),
        ("999999999d", False),
        ("1969-12-31T23:59:59Z", True),
        ("0001-01-01", True),
    ],
)
def test_moments_outside_of_what_can_be_stored(text: str, ahead: bool) -> None:
    with pytest.raises(BadRequest, match="1970 to 9999"):
        instant(text, NOW, ahead=ahead)


@given(st.integers(0, END - 1))
def test_a_written_moment_reads_back_as_itself(moment: int) -> None:
    """To the microsecond, in every year that can be stored."""
    assert instant(iso(moment), NOW, ahead=True) == moment


def test_there_may_be_no_moment() -> None:
    assert iso_or_none(None) is None
    assert iso_or_none(0) == "1970-01-01T00:00:00.000000Z"


def test_the_machines_clock() -> None:
    clock = SystemClock()
    real = datetime.now(UTC).timestamp() * 1_000_000
    assert abs(clock.now() - real) < 60_000_000
    assert clock.monotonic() <= clock.monotonic()

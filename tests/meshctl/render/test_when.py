"""Times, durations, sizes and counts as words."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from meshctl.render import when

NOW = datetime(2026, 11, 23, 15, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0s"),
        (0, "0s"),
        (45.9, "45s"),
        (60, "1m"),
        (62, "1m 2s"),
        (3600, "1h"),
        (3605, "1h"),
        (11_520, "3h 12m"),
        (86_400 * 12 + 3_600 * 4 + 59, "12d 4h"),
        (86_400 * 3 + 59, "3d"),
    ],
)
def test_duration(seconds, shown):
    """The largest unit and the one below it."""
    assert when.duration(seconds) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (None, "never"),
        ("2026-11-23T15:00:00Z", "now"),
        ("2026-11-23T15:00:05Z", "now"),
        ("2026-11-23T14:59:15Z", "45s ago"),
        ("2026-11-23T14:58:00", "2m ago"),
        ("2026-11-23T15:00:00+02:00", "2h ago"),
        ("2026-11-11T14:00:00.123456Z", "12d ago"),
    ],
)
def test_age(text, shown):
    """Instants of any zone; one without a zone is UTC; the future of a fast clock is now."""
    assert when.age(text, NOW) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (None, "never"),
        ("2026-11-23T15:00:00Z", "expired"),
        ("2026-11-23T20:30:00Z", "in 5h 30m"),
        ("2027-02-21T00:00:00Z", "2027-02-21"),
    ],
)
def test_expiry(text, shown):
    """A date far away, a duration near by."""
    assert when.expiry(text, NOW) == shown


def test_clock_is_in_the_zone_of_now():
    """The same instant on two clocks; another day gets its date."""
    east = NOW.astimezone(timezone(timedelta(hours=2)))
    assert when.clock("2026-11-23T14:02:11Z", NOW) == "14:02:11"
    assert when.clock("2026-11-23T14:02:11Z", east) == "16:02:11"
    assert when.clock("2026-11-22T23:00:00Z", NOW) == "2026-11-22 23:00:00"
    assert when.stamp("2026-11-23T14:02:11Z", east) == "2026-11-23 16:02:11 (57m ago)"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0.0ms"),
        (9.94, "9.9ms"),
        (9.96, "10ms"),
        (999.4, "999ms"),
        (999.6, "1.0s"),
        (59_900, "59.9s"),
        (60_012, "1m"),
        (200_000, "3m 20s"),
    ],
)
def test_millis(value, shown):
    """A call's time never shows more digits than it deserves."""
    assert when.millis(value) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1024 * 1023, "1023 KiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (61_234_567, "58.4 MiB"),
        (5 * 1024**3, "5.0 GiB"),
    ],
)
def test_size(count, shown):
    """Binary units; a value never reads as 1024 of one."""
    assert when.size(count) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(None, "-"), (0, "~0"), (999, "~999"), (5240, "~5.2k")]
)
def test_tokens(count, shown):
    """An estimate looks like one."""
    assert when.tokens(count) == shown


@pytest.mark.parametrize(
    ("words", "shown"),
    [((1, "tool"), "1 tool"), ((0, "tool"), "0 tools"), ((2, "reply", "replies"), "2 replies")],
)
def test_plural(words, shown):
    """One of them, or more."""
    assert when.plural(*words) == shown

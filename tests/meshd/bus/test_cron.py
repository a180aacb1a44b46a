"""Cron: what patterns mean, by the calendar and by the clocks of their zone."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from meshd.bus.cron import MAX_TEXT, BadCron, BadZone, Cron
from meshd.core.clock import EPOCH

QUICKLY = (Phase.explicit, Phase.reuse, Phase.generate)
"""An example takes milliseconds of its own; making a failing one small would take minutes."""
NEW_YORK, BERLIN, LORD_HOWE, APIA = (
    "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia",
)  # fmt: skip


def at(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


def shown(text: str, zone: str, start: str, count: int) -> list[str]:
    cron = Cron(text, zone)
    return [cron.shown(slot) for slot in islice(cron.slots(at(start)), count)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*/15 * * * *", ["00:15:00", "00:30:00", "00:45:00"]),
        ("0/15 * * * *", ["00:15:00", "00:30:00", "00:45:00"]),
        ("*/20 * * * * *", ["00:00:20", "00:00:40", "00:01:00"]),
        ("5 0 12 * * *", ["12:00:05"]),
        ("@hourly", ["01:00:00", "02:00:00"]),
        ("30 9-17 * * mon-fri", ["09:30:00", "10:30:00"]),
    ],
)
def test_the_first_slots_of_a_monday(text: str, expected: list[str]) -> None:
    """Five fields begin with minutes, six with seconds."""
    found = shown(text, "UTC", "2026-03-02T00:00:00+00:00", len(expected))
    assert found == [f"2026-03-02T{one}+00:00" for one in expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@daily", "2026-03-03"), ("@midnight", "2026-03-03"), ("@weekly", "2026-03-08"),
        ("@monthly", "2026-04-01"), ("@yearly", "2027-01-01"), ("@annually", "2027-01-01"),
        ("0 0 29 2 *", "2028-02-29"), ("0 0 L * *", "2026-03-31"), ("0 0 * * 5#2", "2026-03-13"),
        ("0 0 3-3 * *", "2026-03-03"), ("0 0 * * tue-2", "2026-03-03"), ("0 0 * dec-dec *", "2026-12-01"),
        ("0 0 5-5/2 * *", "2026-03-05"), ("0 0 * * L5", "2026-03-27"), ("0 0 13 * fri", "2026-03-06"), ("0 0 15w * *", "2026-03-16"),
    ],
)  # fmt: skip
def test_days(text: str, expected: str) -> None:
    """Names, leap days, last days, and that two days are either of them."""
    assert shown(text, "UTC", "2026-03-02T00:00:00+00:00", 1) == [f"{expected}T00:00:00+00:00"]


@pytest.mark.parametrize(
    ("text", "zone", "start", "expected"),
    [
        # The clock leaves it out: the first moment after the gap, once.
        ("30 2 * * *", NEW_YORK, "2026-03-07T12:00Z", ["03-08T03:00:00-04:00", "03-09T02:30:00-04:00"]),
        ("*/20 2 * * *", NEW_YORK, "2026-03-07T12:00Z", ["03-08T03:00:00-04:00", "03-09T02:00:00-04:00"]),
        ("30 2,3 * * *", NEW_YORK, "2026-03-07T12:00Z", ["03-08T03:00:00-04:00", "03-08T03:30:00-04:00"]),
        ("0 2,3 * * *", NEW_YORK, "2026-03-07T12:00Z", ["03-08T03:00:00-04:00", "03-09T02:00:00-04:00"]),
        ("30 2 * * *", BERLIN, "2026-03-28T12:00Z", ["03-29T03:00:00+02:00", "03-30T02:30:00+02:00"]),
        ("15 2 * * *", LORD_HOWE, "2026-10-03T12:00Z", ["10-04T02:30:00+11:00", "10-05T02:15:00+11:00"]),
        # The clock shows it twice: the first time alone.
        ("30 1 * * *", NEW_YORK, "2026-10-31T12:00Z", ["11-01T01:30:00-04:00", "11-02T01:30:00-05:00"]),
        ("30 1 * * *", NEW_YORK, "2026-11-01T05:45Z", ["11-02T01:30:00-05:00"]),
        ("*/30 1 * * *", NEW_YORK, "2026-10-31T12:00Z", ["11-01T01:00:00-04:00", "11-01T01:30:00-04:00", "11-02T01:00:00-05:00"]),
        ("30 2 * * *", BERLIN, "2026-10-24T12:00Z", ["10-25T02:30:00+02:00", "10-26T02:30:00+01:00"]),
        ("45 1 * * *", LORD_HOWE, "2026-04-04T12:00Z", ["04-05T01:45:00+11:00", "04-06T01:45:00+10:30"]),
        # By the hour: as the clock runs.
        ("0 * * * *", NEW_YORK, "2026-03-08T05:30Z", ["03-08T01:00:00-05:00", "03-08T03:00:00-04:00"]),
        ("30 * * * *", NEW_YORK, "2026-03-08T05:30Z", ["03-08T01:30:00-05:00", "03-08T03:30:00-04:00"]),
        ("0 * * * *", NEW_YORK, "2026-11-01T04:30Z", ["11-01T01:00:00-04:00", "11-01T01:00:00-05:00", "11-01T02:00:00-05:00"]),
        ("*/30 * * * *", NEW_YORK, "2026-11-01T05:00Z", ["11-01T01:30:00-04:00", "11-01T01:00:00-05:00", "11-01T01:30:00-05:00"]),
        ("0 */2 * * *", BERLIN, "2026-03-28T22:30Z", ["03-29T00:00:00+01:00", "03-29T04:00:00+02:00"]),
    ],
)  # fmt: skip
def test_the_days_on_which_clocks_change(
    text: str, zone: str, start: str, expected: list[str]
) -> None:
    assert shown(text, zone, start, len(expected)) == [f"2026-{one}" for one in expected]


def test_a_day_that_a_country_left_out() -> None:
    """Samoa had no 30 December 2011; what was to happen then happens as the 31st begins."""
    found = shown("0 12 30 12 *", APIA, "2011-12-01T00:00Z", 2)
    assert found == ["2011-12-31T00:00:00+14:00", "2012-12-30T12:00:00+14:00"]


@pytest.mark.parametrize(
    "text",
    [
        "", "*", "* * * *", "* * * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *",
        "*/0 * * * *", "x * * * *", "R * * * *", "H * * * *", "H(0-29) * * * *", "@reboot",
        "@every 5m", "0 0 * * monday", "1 * * * *" + " " * MAX_TEXT, "1" + ",1" * 200 + " * * * *",
        "1;2 * * * *", "½ * * * *",
    ],
)  # fmt: skip
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(BadCron):
        Cron(text, "UTC")


@pytest.mark.parametrize("text", ["0 0 31 2 *", "0 0 30 feb *", "0 0 31 4,6,9,11 *"])
def test_what_never_comes_says_so_in_bounded_time(text: str) -> None:
    with pytest.raises(BadCron, match="no such day"):
        Cron(text, "Europe/Berlin").next(0)


@pytest.mark.parametrize(
    "zone", ["", "Mars/Phobos", "../etc/passwd", "/etc/localtime", "Europe", "x" * 300]
)
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(BadZone):
        Cron("* * * * *", zone)


def _field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    return st.one_of(
        st.just("*"),
        st.integers(2, high).map("*/{}".format),
        st.lists(number, min_size=1, max_size=3).map(lambda ns: ",".join(map(str, ns))),
        st.tuples(number, number).map(lambda ends: "{}-{}".format(*sorted(ends))),
    )


def _numbers(field: str, low: int, high: int) -> set[int]:
    """What a field stands for, written anew."""
    if field.startswith("*"):
        return set(range(low, high + 1, int(field[2:] or 1)))
    if "-" in field:
        first, last = map(int, field.split("-"))
        return set(range(first, last + 1))
    return set(map(int, field.split(",")))


ZONES = st.sampled_from(
    [NEW_YORK, BERLIN, LORD_HOWE, APIA, "America/Sao_Paulo", "Africa/Cairo", "UTC"]
)
MOMENTS = st.integers(at("2011-01-01T00:00Z"), at("2030-01-01T00:00Z"))
CHANGES = {
    NEW_YORK: ["2026-03-08T07:00Z", "2026-11-01T06:00Z"],
    BERLIN: ["2026-03-29T01:00Z", "2026-10-25T01:00Z"],
    LORD_HOWE: ["2026-04-04T15:00Z", "2026-10-03T15:30Z"],
    APIA: ["2011-12-30T10:00Z", "2011-04-02T14:00Z"],
    "America/Sao_Paulo": ["2018-02-18T02:00Z", "2018-11-04T03:00Z"],
    "Africa/Cairo": ["2026-04-23T22:00Z", "2026-10-29T21:00Z"],
}
HOURS = st.integers(-12 * 60, 60).map(lambda minutes: minutes * 60_000_000)
AROUND = st.one_of(
    st.tuples(st.sampled_from([(z, at(m)) for z, ms in CHANGES.items() for m in ms]), HOURS).map(
        lambda drawn: (drawn[0][0], drawn[0][1] + drawn[1])
    ),
    st.tuples(ZONES, MOMENTS),
)
"""A zone, and a moment that often lies shortly before its clocks are changed."""


@settings(deadline=None, max_examples=30, phases=QUICKLY)
@given(minute=_field(0, 59), hour=_field(0, 23), where=AROUND)
@example(minute="30", hour="2", where=(NEW_YORK, at("2026-03-08T05:00Z")))
@example(minute="30", hour="1", where=(NEW_YORK, at("2026-11-01T04:00Z")))
@example(minute="*/7", hour="*", where=("America/Sao_Paulo", at("2018-02-18T01:00Z")))
def test_slots_are_exactly_the_minutes_that_an_oracle_finds(
    minute: str, hour: str, where: tuple[str, int]
) -> None:
    """It looks at each minute of half a day by itself, and knows nothing of how slots are found."""
    zone, moment = where
    start = moment // 60_000_000 * 60_000_000
    end = start + 43_200_000_000
    found = []
    for slot in Cron(f"{minute} {hour} * * *", zone).slots(start):
        if slot > end:
            break
        found.append(slot)
    assert found == sorted(set(found)), "strictly increasing"
    assert found == _oracle(
        _numbers(minute, 0, 59), _numbers(hour, 0, 23), hour[0] == "*", zone, start, end
    )


def _oracle(
    minutes: set[int], hours: set[int], runs: bool, zone: str, start: int, end: int
) -> list[int]:
    local = ZoneInfo(zone)
    before = _wall(start, local)
    seen = before if not runs else None
    slots = []
    # What was shown before the start counts as seen: look a day back for the highest wall time.
    if seen is not None:
        seen = max(_wall(start - n * 60_000_000, local) for n in range(24 * 60))
    for moment in range(start + 60_000_000, end + 1, 60_000_000):
        wall = _wall(moment, local)
        if seen is None:
            due = wall.minute in minutes and wall.hour in hours
        else:
            # Every wall time since the last that was seen, also those that were left out.
            passed = (wall - seen) // timedelta(minutes=1)
            times = (wall - timedelta(minutes=n) for n in range(passed))
            due = any(one.minute in minutes and one.hour in hours for one in times)
            seen = max(seen, wall)
        if due:
            slots.append(moment)
    return slots


def _wall(moment: int, zone: ZoneInfo) -> datetime:
    return (EPOCH + timedelta(microseconds=moment)).astimezone(zone).replace(tzinfo=None)


@settings(deadline=None, max_examples=100, phases=QUICKLY)
@given(
    second=_field(0, 59), day=_field(1, 28), month=_field(1, 12), weekday=_field(0, 6), zone=ZONES,
    moment=MOMENTS,
)  # fmt: skip
def test_a_slot_matches_its_pattern_by_the_clocks_of_its_zone(
    second: str, day: str, month: str, weekday: str, zone: str, moment: int
) -> None:
    """At noon, when no clock is changed; a day is right by its number or its weekday if both are said."""
    cron = Cron(f"{second} 0 12 {day} {month} {weekday}", zone)
    slot = cron.next(moment)
    assert slot > moment
    wall = datetime.fromisoformat(cron.shown(slot)).replace(tzinfo=None)
    if (wall.hour, wall.minute) != (12, 0):
        assert zone == APIA  # the day that was left out
        return
    assert wall.second in _numbers(second, 0, 59)
    assert wall.month in _numbers(month, 1, 12)
    by_day = wall.day in _numbers(day, 1, 31)
    by_weekday = wall.isoweekday() % 7 in _numbers(weekday, 0, 6)
    both = "*" not in {day, weekday}
    assert (by_day or by_weekday) if both else (by_day and by_weekday)
    assert datetime.fromisoformat(cron.shown(slot)).astimezone(UTC) == EPOCH + timedelta(
        microseconds=slot
    )

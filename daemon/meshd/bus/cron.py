"""Cron expressions in a time zone: when they come next, also where the clocks are changed.

croniter matches wall clock times; what those are on the day of a change is decided here. Where the
hour begins with `*` it runs as the clock does: what the clock leaves out does not come, and what it
shows twice comes twice. Else it is a time of day, and comes once a day: at the first moment after
the gap if the clock leaves it out, and only the first time if the clock shows it twice.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from meshd.core.clock import EPOCH

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

MAX_TEXT = 200
"""Characters of an expression."""
NAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
HOUR = -4
"""Which field it is, with seconds and without."""
MONTH, WEEKDAY = -2, -1
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NUMBERS = {
    MONTH: {name: str(n) for n, name in enumerate(_MONTHS, 1)},
    WEEKDAY: {name: str(n) for n, name in enumerate(_DAYS)} | {"l": "l"},
    -3: {"l": "l", "w": "w"},
}
"""What the words of a field mean, by its place from the end."""
_LETTERS, _OF_ONE = re.compile(r"[a-z]+"), re.compile(r"\b(\d+)-\1(/\d+)?(?![\d/#])")
_MICROSECOND, _SECOND, _DAY = timedelta(microseconds=1), timedelta(seconds=1), timedelta(days=1)


class BadCron(ValueError):
    """It is no expression, or never comes; the text says why."""


class BadZone(ValueError):
    """There is no such time zone."""


class Cron:
    """Five fields, or six of which the first is seconds, or a name such as `@daily`."""

    def __init__(self, text: str, zone: str) -> None:
        """Raises BadCron, BadZone."""
        self._zone = _zone(zone)
        fields = NAMES.get(text.strip().lower(), text).split()
        if len(text) > MAX_TEXT or len(fields) not in {5, 6}:
            raise BadCron("it has 5 fields, 6 with seconds first, or is a name such as @daily")
        self._walk = _walker(" ".join(_plain(f, n - len(fields)) for n, f in enumerate(fields)))
        self._runs = fields[HOUR].startswith("*")

    def next(self, moment: int) -> int:
        """The first slot after a moment; both in microseconds since the epoch.

        Raises:
            BadCron: it does not come within 50 years.
        """
        after = EPOCH + timedelta(microseconds=moment)
        found = self._running(after) if self._runs else self._daily(after)
        return (found - EPOCH) // _MICROSECOND

    def slots(self, moment: int) -> Iterator[int]:
        """Every slot after a moment. Raises as `next`."""
        while True:
            moment = self.next(moment)
            yield moment

    def shown(self, slot: int) -> str:
        """A slot as the clocks of the zone have it, in ISO 8601."""
        return (EPOCH + timedelta(microseconds=slot)).astimezone(self._zone).isoformat()

    def _daily(self, after: datetime) -> datetime:
        wall = after.astimezone(self._zone).replace(tzinfo=None)
        while True:
            wall = self._match(wall)
            found = _first(wall, self._zone)
            if found > after:
                return found

    def _running(self, after: datetime) -> datetime:
        """From change to change of the clock: between two of them wall time runs evenly."""
        at, offset = after, _offset(after, self._zone)
        wall = (after + offset).replace(tzinfo=None)
        while True:
            found = (self._match(wall) - offset).replace(tzinfo=UTC)
            turn = _turn(self._zone, at, found)
            if turn is None:
                return found
            at, offset = turn, _offset(turn, self._zone)
            wall = (turn + offset - _SECOND).replace(tzinfo=None)  # the change itself may match

    def _match(self, wall: datetime) -> datetime:
        """The first wall clock time after one."""
        from croniter import CroniterBadDateError

        start = wall.replace(microsecond=0, tzinfo=UTC)
        try:
            found: datetime = self._walk.get_next(datetime, start_time=start)
        except (CroniterBadDateError, OverflowError, ValueError):
            raise BadCron("there is no such day") from None
        return found.replace(tzinfo=None)


def _zone(name: str) -> "ZoneInfo":
    from zoneinfo import ZoneInfo  # near a megabyte, as croniter for those that have schedules

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise BadZone("it is no time zone such as Europe/Berlin, UTC") from None


def _plain(field: str, place: int) -> str:
    """A field in numbers. croniter takes a range of one, such as `2-2`, for every number."""

    def number(word: re.Match[str]) -> str:
        try:
            return _NUMBERS.get(place, {})[word[0]]
        except KeyError:
            raise BadCron(f'"{word[0]}" is no name of a month or a day') from None

    return _OF_ONE.sub(r"\1", _LETTERS.sub(number, field.lower()))


def _walker(text: str) -> Any:
    from croniter import CroniterError, croniter  # takes its time, and most daemons need none

    try:
        return croniter(text, EPOCH, second_at_beginning=True)
    except (CroniterError, ValueError, OverflowError, KeyError) as error:
        raise BadCron(str(error)[:MAX_TEXT]) from None


def _offset(moment: datetime, zone: "ZoneInfo") -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _first(wall: datetime, zone: "ZoneInfo") -> datetime:
    """The first moment of a wall clock time, or the first one after the gap that it lies in."""
    found = wall.replace(tzinfo=zone).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == wall:
        return found
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _turn(zone, before, found) or found


def _turn(zone: "ZoneInfo", low: datetime, high: datetime) -> datetime | None:
    """The first change of the clock after `low` and not after `high`; two are days apart."""
    low = low.replace(microsecond=0)
    offset, end = _offset(low, zone), high
    while True:
        high = min(low + _DAY, end)
        if _offset(high, zone) != offset:
            break
        if high == end:
            return None
        low = high
    while high - low > _SECOND:
        middle = low + (high - low) // _SECOND // 2 * _SECOND
        if _offset(middle, zone) == offset:
            low = middle
        else:
            high = middle
    return high

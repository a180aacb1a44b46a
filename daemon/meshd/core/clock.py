"""Time as the daemon sees it, injected so that tests can move it; and its text forms."""

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from meshd.wire.errors import BadRequest

MICROSECONDS = 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = EPOCH.replace(tzinfo=None)
END = 253_402_300_800 * MICROSECONDS
"""The year 10000, which ISO 8601 cannot write."""
_DURATION = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Clock(Protocol):
    """Wall time for what is stored, monotonic time for what is measured."""

    def now(self) -> int:
        """Microseconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Microseconds since the epoch, UTC."""
        return time.time_ns() // 1000

    monotonic = staticmethod(time.monotonic)
    """Seconds that never go back. Every request asks for them several times."""


def iso(moment: int) -> str:
    """`2026-11-23T14:02:11.123456Z` for microseconds since the epoch."""
    at = _NAIVE_EPOCH + timedelta(microseconds=moment)
    return f"{at.isoformat(timespec='microseconds')}Z"


def iso_or_none(moment: int | None) -> str | None:
    """`iso`, where there may be no moment."""
    return None if moment is None else iso(moment)


def seconds(text: str) -> int:
    """Seconds of a duration such as `30s 10m 12h 90d`.

    Raises:
        BadRequest: it is none.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise BadRequest(
            f'"{ascii(text)[1:-1]}" is not a duration', facts={"durations are": "30s 10m 12h 90d"}
        )
    return int(match[1]) * _UNITS[match[2]]


def instant(text: str, now: int, *, ahead: bool) -> int:
    """Microseconds since the epoch for an ISO 8601 instant or a duration from now.

    A duration counts forward when `ahead` (an expiry), else back (`--since 1h`).

    Raises:
        BadRequest: it is neither, or lies outside the years 1970 to 9999.
    """
    if _DURATION.fullmatch(text):
        span = seconds(text) * MICROSECONDS
        moment = now + span if ahead else now - span
    else:
        moment = _parse_iso(text)
    if not 0 <= moment < END:
        raise BadRequest(f'"{ascii(text)[1:-1]}" lies outside the years 1970 to 9999')
    return moment


def _parse_iso(text: str) -> int:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(
            f'"{ascii(text)[1:-1]}" is neither a duration nor an instant',
            facts={"durations are": "30s 10m 12h 90d", "instants are": "2026-11-23T14:00:00Z"},
        ) from None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return (parsed - EPOCH) // timedelta(microseconds=1)

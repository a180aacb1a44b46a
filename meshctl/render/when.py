"""Times, durations, sizes and counts as short words."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

_STEPS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def instant(text: str) -> datetime:
    """An ISO 8601 instant; without a zone it is UTC."""
    from datetime import UTC, datetime

    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def duration(seconds: float) -> str:
    """The largest unit and the one below it: `3h 12m`, `45s`, `12d`."""
    counts = []
    rest = max(0, int(seconds))
    for unit, size in _STEPS:
        count, rest = divmod(rest, size)
        counts.append((count, unit))
    first = next((i for i, (count, _) in enumerate(counts) if count), 0)
    return " ".join(f"{count}{unit}" for count, unit in counts[first:][:2] if count) or "0s"


def age(text: str | None, now: datetime) -> str:
    """How long ago: `2m ago`, `12d ago`; `never` for nothing, `now` within a second."""
    if not text:
        return "never"
    seconds = (now - instant(text)).total_seconds()
    for unit, size in _STEPS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit} ago"
    return "now"


def expiry(text: str | None, now: datetime) -> str:
    """When something ends: `2026-11-20`, `in 5h` within two days, `expired`, or `never`."""
    if not text:
        return "never"
    when = instant(text)
    left = (when - now).total_seconds()
    if left <= 0:
        return "expired"
    if left < 2 * 86_400:
        return f"in {duration(left)}"
    return f"{when.astimezone(now.tzinfo):%Y-%m-%d}"


def clock(text: str, now: datetime) -> str:
    """The time of day, with the date in front when it is not today's."""
    when = instant(text).astimezone(now.tzinfo)
    return f"{when:%H:%M:%S}" if when.date() == now.date() else f"{when:%Y-%m-%d %H:%M:%S}"


def stamp(text: str, now: datetime) -> str:
    """Date, time and age, for a card."""
    return f"{instant(text).astimezone(now.tzinfo):%Y-%m-%d %H:%M:%S} ({age(text, now)})"


def millis(value: float) -> str:
    """A call's time: `0.4ms`, `12ms`, `1.8s`, `3m 20s`."""
    if value < 9.95:
        return f"{value:.1f}ms"
    if value < 999.5:
        return f"{value:.0f}ms"
    if value < 59_950:
        return f"{value / 1000:.1f}s"
    return duration(value / 1000)


def size(count: int) -> str:
    """Bytes: `512 B`, `12 KiB`, `3.4 MiB`."""
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1023.5:
            return f"{value:.1f} {unit}" if unit == "MiB" else f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def tokens(count: int | None) -> str:
    """An estimate of tokens: `~340`, `~5.2k`."""
    if count is None:
        return "-"
    return f"~{count}" if count < 1000 else f"~{count / 1000:.1f}k"


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 tool`, `3 tools`."""
    return f"{count} {one if count == 1 else many or one + 's'}"

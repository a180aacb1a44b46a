"""What drawing depends on besides the data: the time, the character set, colour."""

from __future__ import annotations

TYPE_CHECKING = False  # as typing has it; typing itself would cost half a Python start
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Literal

    Mark = Literal["good", "bad", "off", "open"]
else:
    Mark = str

_MARKS: Mapping[Mark, tuple[str, str]] = {
    "good": ("●", "*"),
    "bad": ("!", "!"),
    "off": ("○", "o"),
    "open": ("?", "?"),
}
_ANSI: Mapping[str, str] = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
}


class Look:
    """`now` is aware of its time zone; every time of day is shown in that zone."""

    __slots__ = ("_now", "ascii", "colour")

    def __init__(
        self,
        now: datetime | None = None,
        *,
        ascii: bool = False,  # noqa: A002 - what it is
        colour: bool = False,
    ) -> None:
        """Without `now` the present is read when it is first needed."""
        self._now = now
        self.ascii = ascii
        self.colour = colour

    @property
    def now(self) -> datetime:
        """The moment that ages are counted from: one for a whole screen."""
        if self._now is None:
            from datetime import datetime

            self._now = datetime.now().astimezone()
        return self._now

    @classmethod
    def of(cls, environ: Mapping[str, str], *, terminal: bool, now: datetime | None = None) -> Look:
        """The look that an environment asks for (no-color.org, `FORCE_COLOR`, `TERM=dumb`)."""
        ascii_only = bool(environ.get("MESHCTL_ASCII"))
        return cls(now, ascii=ascii_only, colour=_colour(environ, terminal=terminal))

    def at(self, now: datetime | None, *, colour: bool) -> Look:
        """The same character set at another moment, with or without colour."""
        return Look(now, ascii=self.ascii, colour=colour)

    def mark(self, kind: Mark) -> str:
        """The glyph that stands before a state's word."""
        return _MARKS[kind][self.ascii]

    @property
    def ellipsis(self) -> str:
        """What stands for text that was cut."""
        return "..." if self.ascii else "…"

    def paint(self, text: str, style: str) -> str:
        """`text` in a style of `Column.style`; untouched without colour."""
        if not self.colour or style not in _ANSI:
            return text
        return f"\x1b[{_ANSI[style]}m{text}\x1b[0m"

    def cut(self, text: str, length: int) -> str:
        """`text`, at most `length` characters of it."""
        return text if len(text) <= length else text[: length - len(self.ellipsis)] + self.ellipsis


def _colour(environ: Mapping[str, str], *, terminal: bool) -> bool:
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return terminal and environ.get("TERM") != "dumb"

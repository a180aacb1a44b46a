"""What drawing depends on besides the data: the time, the character set, colour."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Mark = Literal["good", "bad", "off", "open"]

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


@dataclass(frozen=True, slots=True)
class Look:
    """`now` is aware of its time zone; every time of day is shown in that zone."""

    now: datetime
    ascii: bool = False
    colour: bool = False

    @classmethod
    def of(
        cls, environ: Mapping[str, str], *, terminal: bool, now: datetime | None = None
    ) -> "Look":
        """The look that an environment asks for (no-color.org, `FORCE_COLOR`, `TERM=dumb`)."""
        return cls(
            now=now or datetime.now().astimezone(),
            ascii=bool(environ.get("MESHCTL_ASCII")),
            colour=_colour(environ, terminal=terminal),
        )

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

"""Laying out lines: cards of labels and values, and how wide text is on a terminal."""

from __future__ import annotations

from meshctl.render.safe import safe_block

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = "  "


def aligned(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """A card as lines: labels in one column; further lines of a value stay in the value's."""
    size = max((width(label) for label, _ in pairs), default=0)
    lines = []
    for label, value in pairs:
        for number, line in enumerate(safe_block(value).split("\n")):
            head = "" if number else label
            lines.append(f"{pad(head, size, 'left')}{GAP}{line}".rstrip())
    return lines


def width(text: str) -> int:
    """Columns that `text` takes on a terminal: East Asian wide characters take two."""
    if text.isascii():
        return len(text)
    return sum(_char_width(char) for char in text)


def _char_width(char: str) -> int:
    import unicodedata

    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def pad(text: str, size: int, align: str) -> str:
    """`text` filled up to `size` columns."""
    fill = " " * (size - width(text))
    return fill + text if align == "right" else text + fill

"""How wide columns are drawn when there is not room for all of them. Pure."""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

NARROW = 8
"""A column is cut down to so many cells before one is left out."""

FLEX_NARROW = 12
"""The flex column is left out below so many, if it needs as many."""


def fit(widths: Sequence[int], flex: int | None, room: int, gap: int) -> list[int]:
    """Widths that with their gaps take at most `room`; 0 leaves a column out.

    The column `flex` gets what the others leave. If those need more than there is, the widest is
    cut first; in the end columns go from the right.
    """
    given = [0 if index == flex else width for index, width in enumerate(widths)]
    while _taken(given, gap) > room:
        widest = max(given, default=0)
        if widest > NARROW:
            given[given.index(widest)] = widest - 1
        else:
            last = max(index for index, width in enumerate(given) if width)
            given[last] = 0
    left = room - _taken(given, gap) - (gap if any(given) else 0)
    if flex is not None and left >= min(FLEX_NARROW, widths[flex]):
        given[flex] = max(0, left)
    return given


def cut(text: str, width: int, ellipsis: str, *, right: bool = False) -> str:
    """`text` in exactly `width` cells: padded, or with its end cut off."""
    size = cell_len(text)
    if size > width:
        kept = max(0, width - cell_len(ellipsis))
        return set_cell_size(set_cell_size(text, kept) + ellipsis, width)
    return " " * (width - size) + text if right else text + " " * (width - size)


def _taken(widths: Sequence[int], gap: int) -> int:
    shown = [width for width in widths if width]
    return sum(shown) + gap * max(0, len(shown) - 1)

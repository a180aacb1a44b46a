"""How columns share a width."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from meshctl.tui.fit import cut, fit


@pytest.mark.parametrize(
    ("widths", "flex", "room", "given_"),
    [
        ([8, 6, 5], 2, 40, [8, 6, 22]),
        ([8, 6, 5], None, 40, [8, 6, 5]),
        ([8, 20, 5], 2, 25, [8, 15, 0]),
        ([8, 20, 5], None, 25, [8, 8, 5]),
        ([8, 20, 5], None, 18, [8, 8, 0]),
        ([8, 8], None, 3, [0, 0]),
        ([30], 0, 12, [12]),
        ([], None, 10, []),
    ],
)
def test_what_each_column_gets(
    widths: list[int], flex: int | None, room: int, given_: list[int]
) -> None:
    """Flex takes the rest; else the widest is cut, and in the end the right goes first."""
    assert fit(widths, flex, room, 2) == given_


@given(st.lists(st.integers(1, 60), max_size=8), st.integers(0, 200), st.data())
def test_columns_never_take_more_than_there_is(
    widths: list[int], room: int, data: st.DataObject
) -> None:
    """With their gaps, whatever they hold."""
    flex = data.draw(st.none() | st.integers(0, len(widths) - 1)) if widths else None
    shown = [width for width in fit(widths, flex, room, 2) if width]
    assert sum(shown) + 2 * max(0, len(shown) - 1) <= room


@given(st.text(max_size=30), st.integers(0, 30), st.booleans())
def test_a_cut_text_takes_exactly_its_width(text: str, width: int, right: bool) -> None:
    """Also where characters are two cells wide."""
    assert cell_len(cut(text, width, "…", right=right)) == width


@pytest.mark.parametrize(
    ("text", "right", "shown"),
    [("abc", False, "abc  "), ("abc", True, "  abc"), ("abcdef", False, "abcd…"),
     ("日本語", False, "日本…")],
)  # fmt: skip
def test_a_cut_is_seen(text: str, right: bool, shown: str) -> None:
    """An ellipsis stands for what is missing."""
    assert cut(text, 5, "…", right=right) == shown

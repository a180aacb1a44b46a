"""Foreign text: nothing that a terminal obeys survives, everything a person reads does."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshctl.render.safe import HIDDEN, safe, safe_block


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünïcode 現在 🙂", "plain ünïcode 現在 🙂"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("bell\x07", r"bell\x07"),
        ("c1\x9b", r"c1\x9b"),
        ("one\ntwo\r\tthree", r"one\ntwo\r\tthree"),
        ("\u202eevil", r"\u202eevil"),
        ("\u2066isolate\u2069", r"\u2066isolate\u2069"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("\ud800", r"\ud800"),
        ("line\u2028sep", r"line\u2028sep"),
        ("\N{MAN}\u200d\N{WOMAN}", "\N{MAN}\u200d\N{WOMAN}"),
        ("no-break\u00a0and\u3000wide", "no-break\u00a0and\u3000wide"),
    ],
)
def test_one_line(text, shown):
    """Each kind of hidden character by example."""
    assert safe(text) == shown


@given(st.text(st.characters(codec=None)))
def test_nothing_hidden_is_left(text):
    """Whatever comes in, no character of a hidden category but the joiners comes out."""
    left = {char for char in safe(text) if unicodedata.category(char) in HIDDEN}
    assert left <= {"\u200c", "\u200d"}


@given(st.text())
def test_a_block_is_its_lines(text):
    """A block keeps line breaks and tabs; within them it is as safe as a line."""
    for line in safe_block(text).split("\n"):
        for cell in line.split("\t"):
            assert safe(cell) == cell


def test_windows_line_ends_are_line_ends():
    """CR LF is one line break; a lone CR, which overwrites the line, is shown."""
    assert safe_block("a\r\nb\rc\td") == "a\nb\\rc\td"

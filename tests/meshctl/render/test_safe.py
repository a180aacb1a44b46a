"""Foreign text: nothing that a terminal obeys survives, everything a person reads does."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshctl.render.safe import HIDDEN, safe, safe_block, safe_json


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
        ("a\u200db", r"a\u200db"),
        ("\u200c\u200d\u200c", r"\u200c\u200d\u200c"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("क्\u200dष", "क्\u200dष"),
        ("שלום مرحبا", "שלום مرحبا"),
        ("\u2764\ufe0f and 1\ufe0f\u20e3", "\u2764\ufe0f and 1\ufe0f\u20e3"),
        ("x\ufe0f", r"x\ufe0f"),
        ("\U0001f600\ufe01\ufe0f", "\U0001f600" + r"\ufe01\ufe0f"),
        ("\U0001f600\U000e0101", "\U0001f600" + r"\U000e0101"),
        ("cafe\u0301", "cafe\u0301"),
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


HARMFUL = [
    *range(0x20), *range(0x7F, 0xA0), 0xAD, 0x034F, 0x061C, 0x115F, 0x180E, *range(0x200B, 0x2010),
    *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0x2800, 0x3164, *range(0xFE00, 0xFE10), 0xFEFF,
    0xFFA0, *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080), *range(0xE0100, 0xE01F0),
]  # fmt: skip
"""Everything that a terminal obeys, that turns a line round, or that nobody sees."""


@pytest.mark.parametrize("code", HARMFUL, ids=hex)
def test_among_ordinary_letters_nothing_invisible_stays(code):
    """Words cannot be hidden between the letters of a description."""
    shown = safe(f"a{chr(code)}b")
    assert chr(code) not in shown
    assert shown.startswith("a\\")


@given(st.text(st.characters(codec=None)))
def test_json_is_the_same_value_without_anything_hidden(text):
    """A program reads what was there; a terminal shows nothing that obeys or hides."""
    written = safe_json(json.dumps({"x": text}, ensure_ascii=False, indent=2))
    assert json.loads(written) == {"x": text}
    left = {char for char in written if unicodedata.category(char) in HIDDEN}
    assert left <= {"\u200c", "\u200d", "\n"}


@given(st.text())
def test_a_block_is_its_lines(text):
    """A block keeps line breaks and tabs; within them it is as safe as a line."""
    for line in safe_block(text).split("\n"):
        for cell in line.split("\t"):
            assert safe(cell) == cell


def test_windows_line_ends_are_line_ends():
    """CR LF is one line break; a lone CR, which overwrites the line, is shown."""
    assert safe_block("a\r\nb\rc\td") == "a\nb\\rc\td"

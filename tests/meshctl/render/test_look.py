"""What an environment asks the drawing for."""

from datetime import UTC, datetime

import pytest

from meshctl.render.look import Look

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("environ", "terminal", "colour"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
    ],
)
def test_colour(environ, terminal, colour):
    """NO_COLOR beats FORCE_COLOR beats TERM=dumb beats what stdout is."""
    assert Look.of(environ, terminal=terminal, now=NOW).colour is colour


def test_ascii_marks():
    """MESHCTL_ASCII leaves no glyph that a plain font lacks."""
    look = Look.of({"MESHCTL_ASCII": "1"}, terminal=True, now=NOW)
    marks = [look.mark(kind) for kind in ("good", "bad", "off", "open")]
    assert marks == ["*", "!", "o", "?"]
    assert look.cut("abcdefgh", 5) == "ab..."


def test_paint_only_with_colour():
    """Without colour the text is untouched; with it the text is still all there."""
    assert Look(NOW).paint("ready", "green") == "ready"
    assert Look(NOW, colour=True).paint("ready", "green") == "\x1b[32mready\x1b[0m"
    assert Look(NOW, colour=True).paint("ready", "") == "ready"


def test_cut_keeps_what_fits():
    """Text of the length is whole; one more and its end is an ellipsis."""
    assert Look(NOW).cut("abcde", 5) == "abcde"
    assert Look(NOW).cut("abcdef", 5) == "abcd…"

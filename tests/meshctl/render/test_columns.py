"""Tables and cards: alignment on plain output, colour and fitting on a terminal."""

import subprocess
import sys
from datetime import UTC, datetime

from meshctl.render.columns import Column, Table, plain
from meshctl.render.lines import aligned, width
from meshctl.render.look import Look
from meshctl.render.terminal import draw

NOW = datetime(2026, 11, 23, tzinfo=UTC)
TABLE = Table(
    (
        Column("NAME", lambda i: i["id"], style=lambda i: "red" if i.get("bad") else ""),
        Column("N", lambda i: str(i["n"]), align="right"),
        Column("TEXT", lambda i: i["text"], flex=True),
    )
)
ITEMS = [
    {"id": "a", "n": 7, "text": "short"},
    {"id": "現在", "n": 1234, "text": "a longer text of thirty letters", "bad": True},
]


def test_plain_is_aligned_and_never_cut():
    """Wide characters count two; right means right; no blanks at the end of a line."""
    assert plain(TABLE, ITEMS) == [
        "NAME     N  TEXT",
        "a        7  short",
        "現在  1234  a longer text of thirty letters",
    ]


def test_plain_of_nothing_is_the_titles():
    """An empty table still says what it would hold."""
    assert plain(TABLE, []) == ["NAME  N  TEXT"]


def test_terminal_holds_the_same_words():
    """Where there is room, a terminal shows exactly the plain lines."""
    assert draw(TABLE, ITEMS, Look(NOW), 80) == plain(TABLE, ITEMS)


def test_terminal_cuts_only_the_flexible_column():
    """Too narrow: every line fits, and names and numbers are whole."""
    lines = draw(TABLE, ITEMS, Look(NOW), 24)
    assert max(map(width, lines)) <= 24
    assert lines[1:] == ["a        7  short", "現在  1234  a longer te…"]


def test_terminal_never_cuts_another_column():
    """On a terminal that is too narrow for names and numbers, lines wrap instead."""
    lines = draw(TABLE, ITEMS, Look(NOW), 10)
    assert [line.split()[:2] for line in lines[1:]] == [["a", "7"], ["現在", "1234"]]


def test_terminal_colours_what_has_a_style():
    """Colour is added to the cell, its word stays."""
    lines = draw(TABLE, ITEMS, Look(NOW, colour=True), 80)
    assert "\x1b[31m現在\x1b[0m" in lines[2]
    assert "\x1b[31m" not in lines[1]


def test_cells_are_text_not_markup():
    """Square brackets of foreign text mean nothing to the drawing."""
    item = {"id": "[red]x[/red]", "n": 1, "text": ":smile: \x1b[0m"}
    assert draw(TABLE, [item], Look(NOW), 80)[1] == r"[red]x[/red]  1  :smile: \x1b[0m"


def test_card_keeps_a_value_in_its_column():
    """A foreign line break cannot begin a line of ours."""
    assert aligned([("a", "1"), ("label", "x\nstate ready")]) == [
        "a      1",
        "label  x",
        "       state ready",
    ]
    assert aligned([]) == []


def test_drawing_imports_the_standard_library_only():
    """The fast commands draw; rich is loaded by nothing but a table on a terminal."""
    program = (
        "import sys, pkgutil, importlib, meshctl.render as r\n"
        "for m in pkgutil.iter_modules(r.__path__): importlib.import_module('meshctl.render.'+m.name)\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'rich', 'typer', 'msgspec', 'meshd'}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    assert ran.stdout.strip() == "[]"

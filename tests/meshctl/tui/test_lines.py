"""The single lines of the screen."""

from typing import Any

import pytest

from meshctl.render.look import Look
from meshctl.tui import lines
from meshctl.tui.numbers import Numbers
from meshd.wire.errors import DaemonDown, Internal
from tests.meshctl.tui.things import CONNECTIONS, NOW, STATUS, connection

LOOK = Look(now=NOW)
ODD = "\x1b[2J[bold]\u202e"
SHOWN = "\\x1b[2J[bold]\\u202e"


@pytest.mark.parametrize(
    ("width", "there", "gone"),
    [
        (80, ["meshctl", "acme", "● meshd 0.1.0", "up 3h 12m", "127.0.0.1:3000", "15:00:00"], []),
        (60, ["acme", "● meshd 0.1.0", "up 3h 12m", "15:00:00"], ["127.0.0.1"]),
        (45, ["acme", "● meshd 0.1.0", "15:00:00"], ["up 3h"]),
        (32, ["acme", "● meshd 0.1.0"], ["15:00:00"]),
        (20, ["meshctl  acme"], ["meshd"]),
    ],
)
def test_a_header_leaves_out_what_does_not_fit(
    width: int, there: list[str], gone: list[str]
) -> None:
    """The URL first, the daemon last."""
    line = lines.header(STATUS, 11545, LOOK, width)
    assert line.cell_length <= width
    assert [word for word in there if word not in line.plain] == []
    assert [word for word in gone if word in line.plain] == []


@pytest.mark.parametrize(
    ("status", "lost", "words"),
    [
        (None, False, "? meshd"),
        (None, True, "! meshd"),
        (STATUS, True, "○ meshd 0.1.0 lost"),
        ({**STATUS, "daemon": {**STATUS["daemon"], "state": "locked"}}, False,
         "! meshd 0.1.0 locked"),
    ],
)  # fmt: skip
def test_the_daemons_state_has_a_mark_and_a_word(status: Any, lost: bool, words: str) -> None:
    """A lost daemon is up for nobody knows how long."""
    line = lines.header(status, 60, LOOK, 80, lost=lost).plain
    assert words in line
    assert ("up " in line) is (status is not None and not lost)


def test_a_banner_says_what_when_and_what_to_do() -> None:
    """Seconds are rounded up: at zero it is asked."""
    line = lines.banner(DaemonDown(next="meshctl daemon start"), 2.1, LOOK).plain
    assert line == " ○ meshd is not running; again in 3s, r asks now  next: meshctl daemon start"
    assert "asking again" in lines.banner(Internal("x"), -1.0, LOOK).plain


LOGIN = connection("jira", "needs_login", reason="401")


@pytest.mark.parametrize(
    ("connections", "selected", "problems", "wanted"),
    [
        (CONNECTIONS[:2], None, [], ""),
        (CONNECTIONS, CONNECTIONS[2], [], " ! slack failing: 401 from upstream  t tests it"),
        (CONNECTIONS, CONNECTIONS[0], [],
         " ! slack failing: 401 from upstream  select it, t tests it"),
        ([*CONNECTIONS, LOGIN], LOGIN, [],
         " ! jira needs login (and 1 more): 401  c shows the command"),
        ([], None, [{"message": "the vault is locked", "next": "meshctl doctor"}],
         " ! the vault is locked  next: meshctl doctor"),
    ],
)  # fmt: skip
def test_a_problem_says_what_to_press(
    connections: Any, selected: Any, problems: Any, wanted: str
) -> None:
    """For the selected connection first; for the daemon's own where no connection has any."""
    status = {**STATUS, "problems": problems}
    assert lines.problem(connections, selected, status, LOOK, 100).plain == wanted


@pytest.mark.parametrize("width", [80, 50, 30, 10])
def test_a_long_problem_is_cut_and_not_what_to_press(width: int) -> None:
    """As long as there is room for it."""
    item = connection("slack", "failing", reason="x" * 300)
    line = lines.problem([item], item, STATUS, LOOK, width)
    assert line.cell_length <= width
    assert line.plain.endswith("t tests it") is (width >= 30)


def test_foreign_words_are_shown_and_not_obeyed() -> None:
    """Neither by the terminal nor as markup."""
    item = connection("slack", "failing", reason=ODD)
    status = {**STATUS, "org": {"name": ODD}, "url": ODD}
    drawn = [
        lines.problem([item], item, status, LOOK, 200),
        lines.problem([], None, {"problems": [{"message": ODD, "next": "x"}]}, LOOK, 200),
        lines.header(status, 1, LOOK, 200),
        lines.banner(Internal(ODD), 1, LOOK),
    ]
    for line in drawn:
        assert SHOWN in line.plain
        assert line.plain.isprintable()


def test_the_numbers_stand_in_a_column_or_on_a_line() -> None:
    """The same facts."""
    found = Numbers(calls=214, failed=5, p95=640.0, bars=(0, 1, 2))
    assert lines.numbers(found, LOOK, 80) == "214 calls  5 failed  p95 640ms  ▁▅█"
    assert lines.numbers(found, LOOK, 34) == "214 calls  5 failed  p95 640ms"
    assert lines.numbers(found, LOOK, 0) == ""
    shown = lines.column(found, 128, LOOK).plain.split("\n")
    assert [line.split() for line in shown] == [
        ["calls", "214"], ["failed", "5"], ["p95", "640ms"], ["today", "128"], ["▁▅█"],
    ]  # fmt: skip


def test_numbers_that_are_not_known_are_a_dash() -> None:
    """Not a zero."""
    shown = lines.column(Numbers(0, 0, None, ()), None, LOOK).plain
    assert "p95             -" in shown
    assert "today           -" in shown

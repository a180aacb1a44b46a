"""The table of keys."""

from collections import Counter

import pytest

from meshctl.tui.actions import (
    ACTIONS,
    BUS,
    CONFIRM,
    MAIN,
    SCREEN,
    SHEET,
    bindings,
    footer,
    help_lines,
    holds,
)
from meshctl.tui.app import Dashboard
from meshctl.tui.dialogs.confirm import Confirm
from meshctl.tui.dialogs.sheet import Sheet

OWNERS = {SCREEN: Dashboard, SHEET: Sheet, CONFIRM: Confirm}


@pytest.mark.parametrize("where", OWNERS)
def test_every_action_is_a_method(where: str) -> None:
    """Of the app or of the dialog in which its key holds."""
    for action in ACTIONS:
        if where in action.where:
            name = action.name.partition("(")[0]
            owner = Dashboard if name.startswith("app.") else OWNERS[where]
            assert hasattr(owner, f"action_{name.removeprefix('app.')}"), action


@pytest.mark.parametrize("where", OWNERS)
def test_no_key_means_two_things_at_once(where: str) -> None:
    """A key may mean something else in a dialog."""
    keys = Counter(key for a in ACTIONS if where in a.where for key in a.key.split(","))
    assert [key for key, count in keys.items() if count > 1] == []


@pytest.mark.parametrize("where", OWNERS)
def test_bindings_are_the_table(where: str) -> None:
    """And nothing besides."""
    made = {(b.key, b.action) for b in bindings(where)}  # type: ignore[union-attr]
    assert made == {(a.key, a.name) for a in ACTIONS if where in a.where}


def test_the_help_has_every_key_with_its_text() -> None:
    """In the order of the table."""
    assert [line.split()[0] for line in help_lines()] == [a.shown.split()[0] for a in ACTIONS]
    assert all(action.help in line for action, line in zip(ACTIONS, help_lines(), strict=True))


@pytest.mark.parametrize("view", [MAIN, BUS])
@pytest.mark.parametrize("width", [200, 82, 79, 60, 40])
def test_the_footer_fits_and_keeps_help_and_quit(width: int, view: str) -> None:
    """Whole words go, from the right, but those two."""
    shown = footer(width, view)
    assert sum(2 + len(key) + 1 + len(word) for key, word in shown) <= width
    assert shown[-2:] == [("?", "help"), ("q", "quit")]
    named = worded(view)[:-2]
    assert shown[:-2] == named[: len(shown) - 2]


@pytest.mark.parametrize("view", [MAIN, BUS])
def test_a_wide_footer_has_every_word(view: str) -> None:
    """All that the table names for that view."""
    assert footer(200, view) == worded(view)


def worded(view: str) -> list[tuple[str, str]]:
    return [(a.shown, a.word) for a in ACTIONS if a.word and view in a.views]


def test_a_key_of_one_view_means_nothing_in_the_other() -> None:
    """What acts on a hidden panel would surprise."""
    assert [(holds(name, MAIN), holds(name, BUS)) for name in ("test", "drop", "help", "quit")] == [
        (True, False), (False, True), (True, True), (True, True),
    ]  # fmt: skip

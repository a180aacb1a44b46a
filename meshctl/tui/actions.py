"""Every key of the dashboard, in the order of the help. Footer, help and bindings are made of it.

What an action does stands in a method `action_NAME` of the app or of the dialog it belongs to.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.binding import Binding, BindingType

SCREEN, SHEET, CONFIRM = "screen", "sheet", "confirm"
MAIN, BUS = "main", "bus"
"""The views of the screen: connections and calls, or what becomes of events."""


@dataclass(frozen=True, slots=True)
class Action:
    """One action: the key as Textual names it, as it is printed, and a word for the footer.

    On the screen it holds in these `views`.
    """

    name: str
    key: str
    shown: str
    help: str
    word: str = ""
    where: tuple[str, ...] = (SCREEN,)
    views: tuple[str, ...] = (MAIN, BUS)


ACTIONS: tuple[Action, ...] = (
    Action("move(-1)", "up", "up", "select the line above"),
    Action("move(1)", "down", "down", "select the line below"),
    Action("page(-1)", "pageup", "pgup", "go up by a page"),
    Action("page(1)", "pagedown", "pgdn", "go down by a page"),
    Action("first", "home", "home", "go to the first line"),
    Action("last", "end", "end", "go to the last line, and follow again"),
    Action("focus_next", "tab", "tab", "go to the next panel"),
    Action("focus_previous", "shift+tab", "shift+tab", "go to the panel before"),
    Action("turn", "b", "b", "go to the event bus, or back to the calls", "bus"),
    Action("filter", "slash", "/", "show only lines that hold a text", "filter"),
    Action("open", "enter", "enter", "open what is selected: a call with its stages", "open"),
    Action("retry", "a", "a", "bus: try the selected dead letter again", "again", views=(BUS,)),
    Action("replay", "p", "p", "bus: deliver the selected event again", "replay", views=(BUS,)),
    Action("drop", "d", "d", "bus: drop the selected dead letter", "drop", views=(BUS,)),
    Action("command", "c", "c", "show the meshctl command for what is selected", "cli"),
    Action("copy", "y", "y", "copy its id; in a dialog, what it shows", "copy", (SCREEN, SHEET)),
    Action(
        "test", "t", "t", "reach the selected connection, list its tools afresh", "test",
        views=(MAIN,),
    ),
    Action(
        "switch", "e", "e", "disable the selected connection, or enable it", "on/off",
        views=(MAIN,),
    ),
    Action("follow", "f", "f", "follow the newest lines, or hold still", "follow"),
    Action("refresh", "r", "r", "ask the daemon now; when it is lost, try it now", "refresh"),
    Action("help", "question_mark", "?", "show these keys", "help"),
    Action("leave", "escape", "esc", "go back: close, or show all lines", "", (SCREEN, SHEET)),
    Action("yes", "y", "y", "agree, where a question is asked", "", (CONFIRM,)),
    Action("no", "n,escape", "n esc", "decline, where a question is asked", "", (CONFIRM,)),
    Action("app.quit", "q", "q", "quit", "quit", (SCREEN, SHEET, CONFIRM)),
    Action("app.quit", "ctrl+c", "ctrl+c", "quit, also while text is typed"),
)  # fmt: skip

PINNED = ("help", "app.quit")
"""What the footer shows however narrow it is."""


def bindings(where: str) -> list[BindingType]:
    """The keys that hold on the screen, or in one kind of dialog."""
    return [
        # ctrl+c beats the widget that has the focus, or a text field would take it.
        Binding(action.key, action.name, action.help, show=False, priority="ctrl" in action.key)
        for action in ACTIONS
        if where in action.where
    ]


def holds(name: str, view: str) -> bool:
    """Whether an action is one of this view; what is not in the table always is."""
    return all(view in action.views for action in ACTIONS if action.name == name)


def footer(width: int, view: str) -> list[tuple[str, str]]:
    """Keys of a view with their words, as many as fit, each with a gap of two before it.

    What is pinned stays, then the first ones win.
    """
    named = [action for action in ACTIONS if action.word and view in action.views]
    kept = [action for action in named if action.name in PINNED]
    room = width - sum(map(_width, kept))
    for action in named:
        if action not in kept:
            room -= _width(action)
            if room < 0:
                break
            kept.append(action)
    return [(action.shown, action.word) for action in named if action in kept]


def help_lines() -> list[str]:
    """A line per key."""
    return _aligned([(action.shown, action.help) for action in ACTIONS])


def _aligned(pairs: Sequence[tuple[str, str]]) -> list[str]:
    size = max(len(key) for key, _ in pairs)
    return [f"{key:<{size}}  {text}" for key, text in pairs]


def _width(action: Action) -> int:
    """Its place in the footer: a gap, the key, a space, the word."""
    return 2 + len(action.shown) + 1 + len(action.word)

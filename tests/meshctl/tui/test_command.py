"""`meshctl tui` as a command, up to where the screen begins."""

import os
import subprocess
import sys

import pytest
import typer

from meshctl.client.home import Home
from meshctl.render.look import Look
from meshctl.tui import command
from meshctl.tui.app import Dashboard
from meshd.wire.errors import Unavailable, Usage
from tests.meshctl.tui.things import NOW


class Context:
    """What the command line hands over."""

    def __init__(self, *, colour: bool = True) -> None:
        self.org = "acme"
        self.home = Home("/nowhere")
        self.look = Look(now=NOW, colour=colour)
        self.asked = 0

    def client(self) -> None:
        self.asked += 1


def run(context: Context) -> None:
    command.tui(typer.Context(typer.main.get_command(_app()), obj=context))


def _app() -> typer.Typer:
    app = typer.Typer()
    app.command()(command.tui)
    return app


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Dashboard]:
    """Every dashboard that was run; there is a terminal."""
    found: list[Dashboard] = []
    monkeypatch.setattr(Dashboard, "run", lambda self: found.append(self))  # noqa: PLW0108 - a method binds self, a builtin does not
    monkeypatch.setattr(os, "isatty", lambda _: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return found


def test_the_daemon_is_started_first(started: list[Dashboard]) -> None:
    """So that a reason why it cannot is printed, and no screen flickers by."""
    context = Context()
    run(context)
    assert (context.asked, len(started)) == (1, 1)

    def fails() -> None:
        raise Unavailable("the port is taken")

    context.client = fails  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        run(context)
    assert len(started) == 1


@pytest.mark.parametrize("colour", [True, False])
def test_no_color_by_flag_or_variable_reaches_the_screen(
    started: list[Dashboard], monkeypatch: pytest.MonkeyPatch, *, colour: bool
) -> None:
    """One rule for both, which is the command line's."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    run(Context(colour=colour))
    assert started[0].no_color is not colour


@pytest.mark.parametrize("missing", [0, 1, 2, "TERM"])
def test_without_a_terminal_it_says_so(
    started: list[Dashboard], monkeypatch: pytest.MonkeyPatch, missing: int | str
) -> None:
    """And names the command that needs none."""
    if missing == "TERM":
        monkeypatch.setenv("TERM", "dumb")
    else:
        monkeypatch.setattr(os, "isatty", lambda number: number != missing)
    with pytest.raises(Usage, match="terminal") as refused:
        run(Context())
    assert refused.value.next == "meshctl status"
    assert started == []


def test_the_command_alone_does_not_load_textual() -> None:
    """The help and the man page import it, and must stay fast."""
    code = "import sys, meshctl.tui.command; print('textual' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

"""The dashboard on a real terminal, against a real daemon."""

import subprocess
import sys

import pytest

from meshctl.tui.kinds import CALLS, CONNECTIONS
from tests.meshctl.tui.tmux import pane
from tests.support.daemon import Daemon

MESHCTL = [sys.executable, "-m", "meshctl"]


def test_a_call_made_elsewhere_appears(daemon: Daemon) -> None:
    """Also after the daemon was killed and came back; q ends it at once."""
    daemon.connect("example", sys.executable, "-m", "meshd.example")
    key = daemon.add_key("laptop")

    def call(tool: str, **arguments: object) -> None:
        asked = {"name": tool, "arguments": arguments}
        daemon.rpc("example", "tools/call", asked, key=key)

    environ = {**daemon.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    with pane(daemon.home) as terminal:
        terminal.start([*MESHCTL, "tui"], environ, 80, 24)
        terminal.sees("● meshd 0.1.0", daemon.url, "example", "● ready", "no calls yet")
        call("add", a=2, b=3)
        screen = terminal.sees("add", "laptop", "● ok")
        assert [len(line) <= 80 for line in screen.splitlines()] == [True] * 24
        assert "\x1b[32m" in terminal.coloured

        terminal.press("b")
        terminal.sees("Dead letters ─ 0", "nothing was given up", "mesh.connection.added")
        terminal.press("b")
        terminal.sees("Calls ─ following")

        terminal.press("Tab", "Enter")
        terminal.sees("stages", "upstream", "esc back")
        terminal.press("Escape")
        terminal.sees("/ filter")

        daemon.kill()
        terminal.sees("○ meshd", "r asks now", "add")
        daemon.start()
        call("greet", name="you")
        terminal.press("r")
        terminal.sees("● meshd 0.1.0  up", "add", "greet")

        terminal.resize(60, 16)
        terminal.sees("? help")
        terminal.press("q")
        terminal.sees("exit code 0")


@pytest.mark.parametrize(
    ("kind", "words"), [(CONNECTIONS, ["connection", "list"]), (CALLS, ["call", "list"])]
)
def test_an_empty_panel_says_what_the_command_says(shared_daemon: Daemon, kind, words) -> None:
    """The same sentence, and the same next step."""
    done = subprocess.run(
        [*MESHCTL, *words], env=shared_daemon.environ, capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines() == list(kind.empty)

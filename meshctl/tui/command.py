"""The command `meshctl tui`. Textual is imported only when it runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

import typer

from meshd.wire.errors import Usage

if TYPE_CHECKING:
    from meshctl.client.home import Home
    from meshctl.render.look import Look


class _Context(Protocol):
    """What the dashboard needs of the command line's context."""

    @property
    def org(self) -> str | None: ...
    @property
    def home(self) -> Home: ...
    @property
    def look(self) -> Look: ...
    def client(self) -> Any: ...


def tui(ctx: typer.Context) -> None:
    """Watch connections, calls and events on one screen.

    Raises:
        Usage: there is no terminal to draw on.
    """
    me: _Context = ctx.obj
    # All three: keys come from stdin, and it is stderr that Textual draws on.
    if not all(map(os.isatty, (0, 1, 2))) or os.environ.get("TERM") == "dumb":
        raise Usage("the dashboard needs a terminal that can draw", next="meshctl status")
    me.client()  # starts the daemon where that is allowed, and says why when it cannot
    if not me.look.colour:
        os.environ["NO_COLOR"] = "1"  # how Textual is told
    from meshctl.client.client import Client
    from meshctl.tui.app import Dashboard
    from meshctl.tui.feed import Feed
    from meshctl.tui.messages import Said

    # A client of its own: the command line's would write its warning across the screen.
    app = Dashboard(
        lambda post: Feed(
            Client(me.home.socket, org=me.org, warn=lambda text: post(Said(text))), post
        ),
        me.look,
    )
    app.run()
    if app.return_code:
        raise typer.Exit(app.return_code)

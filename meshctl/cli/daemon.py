"""`meshctl daemon …`: the process in the middle."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from meshctl.cli import log
from meshctl.cli.context import Ctx
from meshctl.cli.env_files import EnvFiles, arguments
from meshctl.client import start as process
from meshctl.render import child
from meshctl.render import daemon as render
from meshctl.render.columns import plain
from meshctl.render.safe import safe_block
from meshd.wire.calls import daemon

Port = Annotated[
    int | None,
    typer.Option(metavar="N", min=0, max=65535, help="Serve agents on this port; 0 picks one."),
]


def start(
    ctx: typer.Context,
    port: Port = None,
    env_file: EnvFiles = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay in this terminal; Ctrl-C stops it.")
    ] = False,
) -> None:
    """Start meshd, and wait until it serves."""
    me = Ctx.of(ctx)
    if foreground:
        process.foreground(me.home, port, arguments(env_file))
    _serves(me, process.start(me.home, port, arguments(env_file)))


def stop(ctx: typer.Context) -> None:
    """Stop meshd, and wait until it is gone."""
    me = Ctx.of(ctx)
    pid = process.stop(me.home)
    text = "meshd was not running" if pid is None else f"stopped meshd  pid {pid}"
    me.out.done({"pid": pid}, text, key="pid")


def restart(ctx: typer.Context, env_file: EnvFiles = None) -> None:
    """Stop meshd and start it on the same port.

    Without --env-file it reads the same files as before.
    """
    me = Ctx.of(ctx)
    before = process.running(me.home)
    if before and env_file is None:
        env_file = [Path(name) for name in me.call(daemon.SHOW).get("env_files", ())]
    process.stop(me.home)
    # Behind a proxy the URL says nothing of the port; the daemon remembers it then.
    place = urlsplit(before["url"]) if before else None
    port = place.port if place and place.hostname in process.LOOPBACK else None
    _serves(me, process.start(me.home, port, arguments(env_file)))


def show(ctx: typer.Context) -> None:
    """Show the inside of the daemon."""
    me = Ctx.of(ctx)
    shown = me.call(daemon.SHOW)
    me.out.card(shown, render.card(shown, me.look), key="pid")
    if shown["children"] and not (me.out.as_json or me.out.quiet):
        me.out.lines(["", *plain(child.table(), shown["children"])])


def logs(
    ctx: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option(metavar="N", min=0, help="How many to begin with.")] = 100,
) -> None:
    """Print what the daemon logged."""
    me = Ctx.of(ctx)
    path = me.home.log
    if not path.exists() and not follow:
        me.out.note("meshd has logged nothing yet")
        me.out.next("meshctl daemon start")
        return
    for line in log.read(path, lines, follow=follow):
        me.out.stream_line({"line": line}, safe_block(line))


def _serves(me: Ctx, serving: dict[str, Any]) -> None:
    state = serving["state"]
    text = f"meshd {serving['version']} {state}  pid {serving['pid']}  {serving['url']}"
    me.out.done(serving, text, key="pid")
    if state == "locked":
        me.out.note("the vault is locked: nothing is served before it is open")
        me.out.next("meshctl vault unlock")

"""`meshctl db …`: the database as a whole. The daemon's program does it, with and without a daemon.

Only a backup is asked of a daemon that runs; the rest needs the database for itself, or only looks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from meshctl.cli import ask
from meshctl.cli.context import Ctx
from meshctl.cli.env_files import EnvFiles, arguments
from meshctl.client.program import ask as ask_program
from meshctl.render import db as render
from meshctl.render.columns import plain
from meshd.wire import db as wire
from meshd.wire.calls import db
from meshd.wire.errors import DaemonDown, Unconfirmed

PATIENCE = 24 * 3600.0
"""Seconds; a large database takes what it takes."""


def status(ctx: typer.Context, env_file: EnvFiles = None) -> None:
    """Show how the database stands: migrations, rows, keys, and the last backup."""
    me = Ctx.of(ctx)
    shown = _program(me, "status", *arguments(env_file))
    me.out.card(shown, render.card(shown, me.look), key="where")
    if shown["tables"] and not (me.out.as_json or me.out.quiet):
        me.out.lines(["", *plain(render.tables(), shown["tables"])])
    if shown["pending"] and shown["exists"]:
        me.out.next("meshctl db migrate")


def migrate(ctx: typer.Context, env_file: EnvFiles = None) -> None:
    """Apply the migrations that are missing, as the next start of meshd would."""
    me = Ctx.of(ctx)
    done = _program(me, "migrate", *arguments(env_file))
    if me.out.as_json:
        me.out.json(done)
    elif me.out.quiet:
        me.out.lines(done["applied"]) if done["applied"] else None
    else:
        me.out.lines(render.migrated(done))


def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to write; mode 0600.")],
    env_file: EnvFiles = None,
) -> None:
    """Write everything but the master key into one file, also while meshd runs.

    It has every change that was acknowledged before. An existing FILE is replaced if you agree.
    """
    me = Ctx.of(ctx)
    path = file.expanduser().absolute()

    def written(*, agreed: bool) -> Any:
        try:
            asks = wire.BackupAsked(file=str(path), replace=agreed)
            return me.call(db.BACKUP, asks, timeout=PATIENCE)
        except DaemonDown:
            words = ("--yes",) if agreed else ()
            return _program(me, "backup", str(path), *words, *arguments(env_file))

    done = _agreed(me, written)
    me.out.card(done, render.backed_up(done, me.look), key="file")
    me.out.next("meshctl help backup")


def restore(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of `db backup`.")],
    env_file: EnvFiles = None,
) -> None:
    """Put a backup in place of the data; what is there is kept aside. meshd must not run.

    The file is checked wholly before anything changes.
    """
    me = Ctx.of(ctx)
    path = file.expanduser().absolute()

    def placed(*, agreed: bool) -> Any:
        words = ("--yes",) if agreed else ()
        return _program(me, "restore", str(path), *words, *arguments(env_file))

    done = _agreed(me, placed)
    me.out.card(done, render.restored(done, me.look), key="where")
    if done["warning"]:
        me.out.note(f"warning: {done['warning']}")
    me.out.next("meshctl daemon start")


def move(
    ctx: typer.Context,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="URL",
            help="An empty database: postgres://… or file:PATH. Also @FILE, @-, env:NAME.",
        ),
    ],
    env_file: EnvFiles = None,
) -> None:
    """Copy everything to another database, and prove it; meshd must not run.

    The source stays as it is, and in use, until DATABASE_URL says otherwise.
    """  # fmt: skip
    me = Ctx.of(ctx)
    url = ask.resolve_value(me, to, name="--to")
    # Through stdin: a password on a command line is seen by others.
    done = _program(me, "move", "--to", "-", *arguments(env_file), stdin=f"{url}\n")
    if me.out.as_json:
        me.out.json(done)
        return
    me.out.rows(render.moved(), done["tables"], empty="there were no tables")
    for line in render.proved(done):
        me.out.note(line)
    me.out.note(f"the data is used from there once DATABASE_URL says so: {done['target']}")
    me.out.next("meshctl daemon start")


def _program(me: Ctx, *words: str, stdin: str = "") -> Any:
    return ask_program(me.home, "db", *words, stdin=stdin, patience=PATIENCE)


def _agreed(me: Ctx, work: Any) -> Any:
    """What `work` answers, after asking where it would replace something."""
    try:
        return work(agreed=me.flags.yes)
    except Unconfirmed as doubt:
        about = "".join(f"; {name}: {fact}" for name, fact in doubt.facts.items())
        ask.confirm(me, f"{doubt.message}{about}. go on?")
    return work(agreed=True)

"""`meshctl vault …`: the keys that stored credentials are sealed with."""

import sys
from typing import Annotated, Any

import typer

from meshctl.cli import ask
from meshctl.cli.context import Ctx
from meshctl.render import vault as render
from meshctl.render.columns import plain
from meshd.wire import vault as wire
from meshd.wire.calls import vault
from meshd.wire.errors import Locked, Usage

REFERENCES = ("@", "env:")
HOW = "give the key as @FILE, env:NAME or with --from-stdin"


def status(ctx: typer.Context) -> None:
    """Show the vault's keys by id, and whether it is open."""
    me = Ctx.of(ctx)
    _show(me, me.call(vault.STATUS))


def verify(ctx: typer.Context) -> None:
    """Open everything that is sealed, and count; nothing of it is shown.

    Exits with 1 if anything does not open: it was altered, moved, or its key is gone.
    """
    me = Ctx.of(ctx)
    found = me.call(vault.VERIFY)
    if me.out.as_json:
        me.out.json(found)
    elif me.out.quiet:
        me.out.lines([one["row"] for one in found["failures"]])
    else:
        me.out.lines(plain(render.counts(), found["counts"]))
        if found["failures"]:
            me.out.lines(["", *plain(render.failures(), found["failures"])])
    raise typer.Exit(int(bool(found["failures"])))


def unlock(
    ctx: typer.Context,
    key: Annotated[
        str | None,
        typer.Argument(metavar="[@FILE|env:NAME]", help="Where the key stands."),
    ] = None,
    from_stdin: Annotated[
        bool, typer.Option("--from-stdin", help="Read the key from stdin.")
    ] = False,
) -> None:
    """Open a locked vault with a key, or with what the daemon's own source has by now.

    Without a key the source is asked again; if the vault stays locked, a terminal asks for the key.
    The key is written nowhere.
    """
    me = Ctx.of(ctx)
    if key is not None and from_stdin:
        raise Usage("a key and --from-stdin exclude each other")
    if key is not None and not key.startswith(REFERENCES):
        raise Usage("a master key does not belong on a command line", next=HOW)
    reference = "@-" if from_stdin else key
    if reference is not None:
        opened = _unlock(me, ask.resolve_value(me, reference, name="master key"))
    else:
        opened = _asked(me)
    me.out.done(opened, f"the vault is open  master key {opened['key_id']}", key="key_id")


def _asked(me: Ctx) -> Any:
    """What the source has, or what is typed."""
    try:
        return _unlock(me, None)
    except Locked as still:
        if not sys.stdin.isatty():
            raise
        me.out.note(still.message)
    return _unlock(me, ask.secret("master key"))


def _unlock(me: Ctx, key: str | None) -> Any:
    return me.call(vault.UNLOCK, wire.VaultUnlock(key=key))


def _show(me: Ctx, shown: dict[str, Any]) -> None:
    me.out.card(shown, render.card(shown), key="state")
    if me.out.as_json or me.out.quiet:
        return
    if shown["orgs"]:
        me.out.lines(["", *plain(render.table(me.look), render.keys(shown))])
    for problem in shown["problems"]:
        me.out.note(problem["message"])
        me.out.next(problem["next"])

"""`meshctl tool diff` and `tool approve`: what servers say of tools now, and letting it in."""

from typing import Annotated, Any

import typer
from msgspec import UNSET

from meshctl.cli import ask
from meshctl.cli.context import Ctx
from meshctl.render import change as render
from meshd.wire import tool as wire
from meshd.wire.calls import tool
from meshd.wire.errors import Usage

PATIENCE_SECONDS = 90.0
"""The server is asked for its list first."""

Place = Annotated[
    str, typer.Argument(metavar="CONNECTION[/TOOL]", help="A connection, or one tool of it.")
]


def diff(ctx: typer.Context, place: Place) -> None:
    """Show how tools differ from what was approved, or from before their last change."""
    me = Ctx.of(ctx)
    changes = _changes(me, place)
    if me.flags.json:
        me.out.json(changes)
        return
    if me.flags.quiet:
        for change in changes:
            me.out.line(render.place(change))
        return
    if not changes:
        me.out.note(f'nothing changed at "{place}"')
    for change in changes:
        me.out.lines(render.diff(change, me.look))
    if any(change["withheld"] for change in changes):
        me.out.next(f"meshctl tool approve {place}")


def approve(
    ctx: typer.Context,
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="CONNECTION[/TOOL]…", help="All that changed at a connection, or one tool."
        ),
    ],
) -> None:
    """Approve tools of a pinned connection as they are now."""
    me = Ctx.of(ctx)
    if me.flags.quiet and not me.flags.yes:
        raise Usage("--quiet shows nothing that could be approved", next="the same with --yes")
    shown: dict[str, list[dict[str, Any]]] = {}
    for place in places:
        found = shown.setdefault(place.partition("/")[0], [])
        found += [change for change in _changes(me, place) if change not in found]
    every = [change for changes in shown.values() for change in changes]
    if every and not me.flags.yes:
        for change in every:
            for line in render.diff(change, me.look):
                me.out.note(line)
        ask.confirm(me, f"approve {render.counted(every)}?")
    done = [
        me.call(tool.APPROVE, wire.ToolApprove(connection=name, fingerprints=_prints(changes)))
        for name, changes in shown.items()
    ]
    if me.flags.json:
        me.out.json(done)
        return
    if not every:
        me.out.note("nothing to approve: all of it is approved as it is")
    for change in every:
        me.out.line(render.place(change) if me.flags.quiet else render.approved(change))


def _changes(me: Ctx, place: str) -> list[dict[str, Any]]:
    """What differs there, as the daemon has it at this moment.

    Raises:
        Usage: nothing is named before or after the slash.
    """
    connection, slash, name = place.partition("/")
    if not connection or (slash and not name):
        raise Usage(f'"{place}" is no CONNECTION or CONNECTION/TOOL')
    asked = wire.ToolDiff(connection=connection, tool=name if slash else UNSET)
    found: list[dict[str, Any]] = me.call(tool.DIFF, asked, timeout=PATIENCE_SECONDS)
    return found


def _prints(changes: list[dict[str, Any]]) -> dict[str, str | None]:
    return {change["tool"]: change["fingerprint"] for change in changes}

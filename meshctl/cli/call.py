"""`meshctl call …`: who called what through the daemon, and how it went."""

from typing import Annotated

import typer

from meshctl.cli.context import Ctx
from meshctl.render import record as render
from meshd.wire import call as wire
from meshd.wire.calls import call


def list_(
    ctx: typer.Context,
    *,
    connection: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only calls of this one.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only calls that failed.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
) -> None:
    """List calls, newest first."""
    me = Ctx.of(ctx)
    asks = wire.RecordList(connection=connection, failed=failed, limit=limit)
    empty = "no such calls" if connection or failed else "no calls yet"
    me.out.rows(
        render.table(me.look),
        me.call(call.LIST, asks),
        empty=empty,
        next="meshctl tool call CONNECTION TOOL",
    )


def show(
    ctx: typer.Context, name: Annotated[str, typer.Argument(metavar="ID", help="Id of a call.")]
) -> None:
    """Show one call with its stages, and its bodies as far as they are kept."""
    me = Ctx.of(ctx)
    shown = me.call(call.SHOW, wire.RecordRef(name))
    me.out.card(shown, render.card(shown, me.look))


def tail(
    ctx: typer.Context,
    *,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Begin there: 1h, or an ISO 8601 instant.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many.")] = None,
    no_follow: Annotated[bool, typer.Option("--no-follow", help="End with what is there.")] = False,
) -> None:
    """Follow calls as they end, until Ctrl-C."""
    me = Ctx.of(ctx)
    asks = wire.RecordTail(since=since, limit=limit, follow=not no_follow)
    for item in me.stream(call.TAIL, asks, resume="seq"):
        me.out.stream_line(item, render.line(item, me.look))

"""`meshctl event …`: what happens on the bus."""

from typing import Annotated

import typer

from meshctl.cli.context import Ctx
from meshctl.render import event as render
from meshd.wire import event as wire
from meshd.wire.calls import event


def tail(
    ctx: typer.Context,
    *,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Begin there: 1h, or an ISO 8601 instant.")
    ] = None,
    after: Annotated[
        int | None, typer.Option(metavar="CURSOR", help="Begin behind this meshseq.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many.")] = None,
    no_follow: Annotated[bool, typer.Option("--no-follow", help="End with what is there.")] = False,
    filter_: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="FIELD=VALUE", help="Only these; * matches. Repeatable."),
    ] = None,
) -> None:
    """Follow events as they happen, until Ctrl-C; nothing is missed over a reconnect."""
    me = Ctx.of(ctx)
    asks = wire.EventTail(
        since=since, after=after, limit=limit, follow=not no_follow, filter=filter_ or []
    )
    for item in me.stream(event.TAIL, asks, resume="meshseq"):
        me.out.stream_line(item, render.line(item, me.look))

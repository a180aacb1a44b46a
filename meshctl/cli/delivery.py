"""`meshctl delivery …`: which event went where, and each attempt."""

from typing import Annotated

import typer

from meshctl.cli.context import Ctx
from meshctl.render import delivery as render
from meshd.wire import delivery as wire
from meshd.wire.calls import delivery


def list_(
    ctx: typer.Context,
    *,
    state: Annotated[
        str | None,
        typer.Option(metavar="STATE", help="ready, inflight, done, dead or cancelled."),
    ] = None,
    subscription: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only those of this one.")
    ] = None,
    event: Annotated[str | None, typer.Option(metavar="ID", help="Only those of this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
) -> None:
    """List deliveries, newest first."""
    me = Ctx.of(ctx)
    asks = wire.DeliveryList(state=state, subscription=subscription, event=event, limit=limit)
    me.out.rows(
        render.table(me.look),
        me.call(delivery.LIST, asks),
        empty="no such deliveries",
        next="meshctl subscription list",
    )


def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ID", help="Id of a delivery.")],
) -> None:
    """Show one delivery with each attempt."""
    me = Ctx.of(ctx)
    shown = me.call(delivery.SHOW, wire.DeliveryRef(name))
    me.out.card(shown, render.card(shown, me.look))

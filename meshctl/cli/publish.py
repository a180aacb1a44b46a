"""`meshctl event publish`, and what repairs the deliveries of an event."""

from typing import Annotated, Any

import typer
from msgspec import Raw

from meshctl.cli import ask
from meshctl.cli.context import Ctx
from meshctl.render import delivery as deliveries
from meshctl.render import event as render
from meshd.wire import delivery as wire_delivery
from meshd.wire import event as wire
from meshd.wire.calls import event, schedule
from meshd.wire.calls.row import Call
from meshd.wire.errors import Usage
from meshd.wire.schedule import SchedulePublish

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of an event, its publisher's or ours.")]


def publish(
    ctx: typer.Context,
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="What happened: order.made.")],
    *,
    data: Annotated[str | None, typer.Option(metavar="JSON", help="JSON, @FILE or @-.")] = None,
    source: Annotated[
        str | None, typer.Option(metavar="URI", help="Publish as this; you otherwise.")
    ] = None,
    id_: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="Said twice, the event is published once."),
    ] = None,
    subject: Annotated[str | None, typer.Option(metavar="TEXT", help="About what.")] = None,
    time: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it happened, as RFC 3339 has it.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Deliver it then: 10m, or an instant.")
    ] = None,
    cron: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Again and again: '0 3 * * *', @daily.")
    ] = None,
    tz: Annotated[str | None, typer.Option(metavar="ZONE", help="Of --cron; else UTC.")] = None,
) -> None:
    """Publish an event; it and its deliveries are on disk when this returns.

    With --cron it makes a schedule, or finds the one that publishes the same.
    """
    me = Ctx.of(ctx)
    if cron is not None:
        if any(one is not None for one in (source, id_, time, at)):
            raise Usage("--cron goes with neither --source, --id, --time nor --at")
        wanted = SchedulePublish(
            type=type_, cron=cron, tz=tz or "UTC", data=Raw(json_value(me, data)), subject=subject
        )
        made = me.call(schedule.PUBLISH, wanted)
        me.out.done(made, render.scheduled(made))
        return
    if tz is not None:
        raise Usage("--tz goes with --cron")
    asks = wire.EventPublish(
        type=type_, data=Raw(json_value(me, data)), source=source, id=id_, subject=subject,
        time=time, deliver_at=at,
    )  # fmt: skip
    row = event.PUBLISH if source is None else event.PUBLISH_AS
    published = me.call(row, asks)
    me.out.done(published, render.published(published))


def list_(
    ctx: typer.Context,
    *,
    type_: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Only of this type.")
    ] = None,
    source: Annotated[str | None, typer.Option(metavar="URI", help="Only of this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
) -> None:
    """List events, newest first, with how their deliveries stand."""
    me = Ctx.of(ctx)
    found = me.call(event.LIST, wire.EventList(type=type_, source=source, limit=limit))
    me.out.rows(
        render.table(me.look), found, empty="no such events", next="meshctl event publish TYPE"
    )


def show(ctx: typer.Context, name: Id) -> None:
    """Show one event with its data."""
    me = Ctx.of(ctx)
    shown = me.call(event.SHOW, wire.EventRef(name))
    me.out.card(shown, render.card(shown, me.look))


def retry(ctx: typer.Context, name: Id) -> None:
    """Deliver now what waits of an event, and what was given up."""
    _repair(Ctx.of(ctx), event.RETRY, wire.EventRef(name), "tries")


def replay(ctx: typer.Context, name: Id) -> None:
    """Deliver an event again, also where it was delivered or cancelled."""
    _repair(Ctx.of(ctx), event.REPLAY, wire.EventRef(name), "delivers again")


def cancel(ctx: typer.Context, name: Id) -> None:
    """Deliver nothing more of an event."""
    _repair(Ctx.of(ctx), event.CANCEL, wire.EventCancel(event=name), "cancelled")


def ack(
    ctx: typer.Context,
    name: Id,
    *,
    connection: Annotated[
        str, typer.Option("--for", metavar="CONNECTION", help="Whose deliveries are done.")
    ],
) -> None:
    """Call an event done for a connection: nothing more of it is handed over there."""
    asks = wire.EventAck(event=name, connection=connection)
    _repair(Ctx.of(ctx), event.ACK, asks, "called done")


def stats(ctx: typer.Context) -> None:
    """Show how many deliveries wait, failed or are under way."""
    me = Ctx.of(ctx)
    shown = me.call(event.STATS)
    me.out.card(shown, render.stats(shown), key="under_way")


def dead(
    ctx: typer.Context,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="list, retry or drop.")],
    name: Annotated[str | None, typer.Argument(metavar="ID", help="Id of a dead delivery.")] = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="Retry or drop every one.")] = False,
    subscription: Annotated[
        str | None, typer.Option(metavar="NAME", help="List those of this one.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="List at most so many.")] = 50,
) -> None:
    """List what was given up; try it again, or drop it.

    meshctl event dead list, meshctl event dead retry ID, meshctl event dead drop --all
    """
    me = Ctx.of(ctx)
    if action == "list":
        if name is not None or all_:
            raise Usage("list takes neither an ID nor --all")
        found = me.call(
            event.DEAD_LIST, wire_delivery.DeadList(subscription=subscription, limit=limit)
        )
        me.out.rows(deliveries.table(me.look), found, empty="nothing was given up")
        return
    if action not in {"retry", "drop"}:
        raise Usage("the action is list, retry or drop")
    if subscription is not None or (name is None) != all_:
        raise Usage("say one ID, or --all")
    asks = wire_delivery.DeadChoice(delivery=name, all=all_)
    if action == "retry":
        _repair(me, event.DEAD_RETRY, asks, "tries")
    else:
        ask.confirm(me, "drop what was given up? it is not delivered any more")
        _repair(me, event.DEAD_DROP, asks, "dropped")


def _repair(me: Ctx, row: Call, asks: Any, verb: str) -> None:
    done = me.call(row, asks)
    ids = done["deliveries"]
    if me.flags.json:
        me.out.json(done)
    elif me.flags.quiet:
        for one in ids:
            me.out.line(one)
    else:
        me.out.line(f"{verb} {render.counted(len(ids))}" if ids else "there was nothing to do")


def json_value(me: Ctx, text: str | None) -> bytes:
    """The data, byte for byte as it was given."""
    if text is None:
        return b"null"
    import json

    text = ask.resolve_value(me, text) if text.startswith("@") else text
    try:
        json.loads(text)
    except ValueError as error:
        raise Usage(
            "--data is not JSON", facts={"reason": str(error), "for example": "'{\"no\": 17}'"}
        ) from None
    return text.encode()

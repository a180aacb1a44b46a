"""`meshctl schedule …`: events that come again and again."""

from typing import Annotated, Literal

import typer
from msgspec import Raw

from meshctl.cli import ask
from meshctl.cli.context import Ctx
from meshctl.cli.owner import Owner
from meshctl.cli.publish import json_value
from meshctl.render import event as events
from meshctl.render import schedule as render
from meshd.wire import schedule as wire
from meshd.wire.calls import schedule

Name = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Name or id of a schedule.")]
Misfire = Literal["skip", "once", "all"]
Overlap = Literal["allow", "skip", "queue"]


def list_(
    ctx: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
) -> None:
    """List schedules, newest first."""
    me = Ctx.of(ctx)
    me.out.rows(
        render.table(me.look),
        me.call(schedule.LIST, wire.ScheduleList(limit=limit)),
        empty="no schedules yet",
        next="meshctl schedule add nightly --type report.due --cron '0 3 * * *'",
    )


def show(ctx: typer.Context, name: Name) -> None:
    """Show one schedule with its last slots."""
    me = Ctx.of(ctx)
    shown = me.call(schedule.SHOW, wire.ScheduleRef(name))
    me.out.card(shown, render.card(shown, me.look))


def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    *,
    type_: Annotated[str, typer.Option("--type", metavar="TYPE", help="Of its events.")],
    cron: Annotated[
        str,
        typer.Option(metavar="PATTERN", help="'*/5 * * * *', with seconds first, or @daily."),
    ],
    tz: Annotated[str, typer.Option(metavar="ZONE", help="As Europe/Berlin.")] = "UTC",
    data: Annotated[str | None, typer.Option(metavar="JSON", help="JSON, @FILE or @-.")] = None,
    subject: Annotated[str | None, typer.Option(metavar="TEXT", help="About what.")] = None,
    misfire: Annotated[
        Misfire, typer.Option(help="Slots that were missed: none, one for all, or each.")
    ] = "once",
    overlap: Annotated[
        Overlap, typer.Option(help="If the fire before is not delivered yet.")
    ] = "allow",
) -> None:
    """Publish an event again and again, with the rights of who made the schedule.

    meshctl help schedules tells how patterns, changes of the clock and missed slots are taken.
    """
    me = Ctx.of(ctx)
    asks = wire.ScheduleAdd(
        name=name, type=type_, cron=cron, tz=tz, data=Raw(json_value(me, data)), subject=subject,
        misfire=misfire, overlap=overlap,
    )  # fmt: skip
    made = me.call(schedule.ADD, asks)
    me.out.done(made, render.made(made, me.look))


def pause(ctx: typer.Context, name: Name) -> None:
    """Let a schedule rest; what comes meanwhile is not made up for."""
    me = Ctx.of(ctx)
    turned = me.call(schedule.PAUSE, wire.ScheduleRef(name))
    me.out.done(turned, f'paused schedule "{turned["name"]}"')


def resume(ctx: typer.Context, name: Name) -> None:
    """Go on with the next slot from now."""
    me = Ctx.of(ctx)
    turned = me.call(schedule.RESUME, wire.ScheduleRef(name))
    me.out.done(turned, f'resumed schedule "{turned["name"]}"')


def edit(ctx: typer.Context, name: Name, *, owner: Owner) -> None:
    """Take a schedule over, as when its owner is gone; it goes on."""
    me = Ctx.of(ctx)
    edited = me.call(schedule.EDIT, wire.ScheduleEdit(schedule=name, owner=owner))
    me.out.done(edited, f'schedule "{edited["name"]}" is yours')


def remove(ctx: typer.Context, name: Name) -> None:
    """Remove a schedule; what it fired is still delivered."""
    me = Ctx.of(ctx)
    ask.confirm(me, f'remove schedule "{name}"?')
    gone = me.call(schedule.REMOVE, wire.ScheduleRemove(schedule=name))
    me.out.done(gone, f'removed schedule "{gone["name"]}"')


def next_(
    ctx: typer.Context,
    name: Name,
    *,
    count: Annotated[int, typer.Option(min=1, max=1000, help="So many.")] = 5,
) -> None:
    """Show when a schedule fires next, by the clocks of its zone."""
    me = Ctx.of(ctx)
    slots = me.call(schedule.NEXT, wire.ScheduleNext(schedule=name, count=count))
    if me.flags.json:
        me.out.json(slots)
    else:
        me.out.lines(slots)


def run(ctx: typer.Context, name: Name) -> None:
    """Fire a schedule now, beside its slots."""
    me = Ctx.of(ctx)
    fired = me.call(schedule.RUN, wire.ScheduleRef(name))
    me.out.done(fired, events.published(fired))

"""`meshctl subscription …`: who hears which events."""

from typing import Annotated, Any

import msgspec
import typer
from msgspec import Raw

from meshctl.cli import arguments, ask
from meshctl.cli.context import Ctx
from meshctl.cli.owner import Owner
from meshctl.render import subscription as render
from meshd.wire import subscription as wire
from meshd.wire.calls import subscription
from meshd.wire.errors import Usage

Name = Annotated[str, typer.Argument(metavar="SUBSCRIPTION", help="Name or id of a subscription.")]


def list_(ctx: typer.Context) -> None:
    """List subscriptions."""
    me = Ctx.of(ctx)
    me.out.rows(
        render.table(me.look),
        me.call(subscription.LIST),
        empty="no subscriptions yet",
        next="meshctl subscription add --type 'order.*' --connection NAME",
    )


def show(ctx: typer.Context, name: Name) -> None:
    """Show one subscription; its signing secret is shown nowhere again."""
    me = Ctx.of(ctx)
    shown = me.call(subscription.SHOW, wire.SubscriptionRef(name))
    me.out.card(shown, render.card(shown, me.look))


def add(
    ctx: typer.Context,
    *,
    types: Annotated[
        list[str], typer.Option("--type", metavar="PATTERN", help="order.*; repeatable.")
    ],
    connection: Annotated[
        str | None, typer.Option(metavar="NAME", help="Hand events to its tool ON_EVENTS.")
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(metavar="URL", help="Send events there, signed; or @FILE, env:N.")
    ] = None,
    tool: Annotated[
        str | None, typer.Option("--call", metavar="CONNECTION/TOOL", help="Call this tool.")
    ] = None,
    args: Annotated[
        str | None,
        typer.Option(metavar="TEMPLATE", help="Its arguments, with {{ event.data.no }}; or @FILE."),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What to call it.")] = None,
    filter_: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="FILTER", help="subject=eu-*, or JSON. Repeatable."),
    ] = None,
    publisher: Annotated[
        str | None,
        typer.Option(metavar="WHO", help="Only events of this key, connection or source."),
    ] = None,
    ordered_by: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="subject, source or data.PATH: one after the other where it is equal.",
        ),
    ] = None,
) -> None:
    """Subscribe a connection, a tool or a URL to events.

    A subscription runs with the rights of who made it. The signing secret of a webhook is shown
    once, alone on stdout.
    """
    me = Ctx.of(ctx)
    if sum(one is not None for one in (connection, webhook, tool)) != 1:
        raise Usage("say one of --connection, --webhook and --call")
    if args is not None and tool is None:
        raise Usage("--args goes with --call")
    common: dict[str, Any] = {
        "types": types, "name": name, "filter": filter_ or [], "publisher": publisher,
        "ordered_by": ordered_by,
    }  # fmt: skip
    if webhook is not None:
        url = ask.resolve_value(me, webhook)
        made = me.call(subscription.ADD_WEBHOOK, wire.WebhookAdd(webhook=url, **common))
        _issued(me, made)
        return
    asks = wire.SubscriptionAdd(connection=connection or "", **common)
    if tool is not None:
        asks.connection, slash, asks.tool = tool.partition("/")
        if not slash or not asks.tool:
            raise Usage(f'"{tool}" is not CONNECTION/TOOL')
        text = "{}" if args is None else args
        text = ask.resolve_value(me, text) if text.startswith("@") else text
        asks.arguments = Raw(arguments.base(text))
    made = me.call(subscription.ADD, asks)
    me.out.done(made, render.made(made))


def pause(ctx: typer.Context, name: Name) -> None:
    """Let deliveries wait, and hear nothing new."""
    me = Ctx.of(ctx)
    turned = me.call(subscription.PAUSE, wire.SubscriptionRef(name))
    me.out.done(turned, f'paused subscription "{turned["name"]}"')


def resume(ctx: typer.Context, name: Name) -> None:
    """Deliver what was held back, and hear again."""
    me = Ctx.of(ctx)
    turned = me.call(subscription.RESUME, wire.SubscriptionRef(name))
    me.out.done(turned, f'resumed subscription "{turned["name"]}"')


def sync(
    ctx: typer.Context,
    connection: Annotated[str, typer.Argument(metavar="CONNECTION", help="Name or id.")],
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="LIST", help="@FILE or JSON: [{types, publisher, filter}, ...]; the rest goes."
        ),
    ],
) -> None:
    """Bring the subscriptions of a connection to a list of them."""
    me = Ctx.of(ctx)
    text = ask.resolve_value(me, wanted) if wanted.startswith("@") else wanted
    try:
        wishes = msgspec.json.decode(text, type=list[wire.Wish])
    except msgspec.DecodeError as error:
        raise Usage(f"this is no list of subscriptions: {error}") from None
    asks = wire.SubscriptionSync(connection, wishes)
    ask.confirm(me, f"subscribe {connection} to these {len(wishes)} alone?")
    done = me.call(subscription.SYNC, asks)
    words = ", ".join(f"{done[part]} {part}" for part in ("created", "updated", "deleted"))
    me.out.done(done, f"{words}, {done['unchanged']} unchanged")


def edit(ctx: typer.Context, name: Name, *, owner: Owner) -> None:
    """Take a subscription over, as when its owner is gone; it hears and delivers again."""
    me = Ctx.of(ctx)
    edited = me.call(subscription.EDIT, wire.SubscriptionEdit(subscription=name, owner=owner))
    me.out.card(edited, render.card(edited, me.look))


def rotate_secret(
    ctx: typer.Context,
    name: Name,
    *,
    keep: Annotated[
        str, typer.Option(metavar="TIME", help="How long the secret of now signs as well.")
    ] = "24h",
) -> None:
    """Sign with a new secret, shown once; the one before signs as well for a while."""
    me = Ctx.of(ctx)
    asks = wire.SecretRotate(subscription=name, keep=keep)
    _issued(me, me.call(subscription.ROTATE_SECRET, asks))


def remove(ctx: typer.Context, name: Name) -> None:
    """Remove a subscription; what waits for it is cancelled."""
    me = Ctx.of(ctx)
    ask.confirm(me, f'remove subscription "{name}"? what waits for it is not delivered')
    gone = me.call(subscription.REMOVE, wire.SubscriptionRemove(subscription=name))
    me.out.done(gone, f'removed subscription "{gone["name"]}"')


def test(ctx: typer.Context, name: Name) -> None:
    """Send it one event of the type test, whatever it subscribes to."""
    me = Ctx.of(ctx)
    sent = me.call(subscription.TEST, wire.SubscriptionRef(name))
    me.out.done(sent, f"sent {sent['id']}")
    me.out.next(f"meshctl delivery list --event {sent['id']}")


def _issued(me: Ctx, made: dict[str, Any]) -> None:
    """The secret to stdout, everything about it to stderr."""
    if me.flags.json:
        me.out.json(made)
        return
    me.out.secret(made["secret"])
    me.out.note(render.made(made))
    me.out.note("shown once: the signing secret went to stdout")

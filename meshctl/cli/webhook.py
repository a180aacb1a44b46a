"""`meshctl webhook …`: where other services send their events."""

import sys
from typing import Annotated, Literal

import typer

from meshctl.cli import ask
from meshctl.cli.context import Ctx
from meshctl.cli.owner import Owner
from meshctl.render import webhook as render
from meshd.wire import webhook as wire
from meshd.wire.calls import webhook
from meshd.wire.errors import Usage

Name = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Name or id of an inbound webhook.")]
HOW = "give the secret as --secret @FILE, --secret env:NAME or with --from-stdin"
Signature = Literal["github", "stripe", "slack", "standard"]
FromStdin = Annotated[
    bool, typer.Option("--from-stdin", help="Read the sender's signing secret from stdin.")
]

SecretAt = Annotated[
    str | None, typer.Option("--secret", metavar="@FILE|env:NAME", help="Where the secret stands.")
]


def list_(
    ctx: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
) -> None:
    """List inbound webhooks, newest first."""
    me = Ctx.of(ctx)
    me.out.rows(
        render.table(me.look),
        me.call(webhook.LIST, wire.WebhookList(limit=limit)),
        empty="no inbound webhooks yet",
        next="meshctl webhook add github --signature github --from-stdin",
    )


def show(ctx: typer.Context, name: Name) -> None:
    """Show one inbound webhook; its secret is shown nowhere again."""
    me = Ctx.of(ctx)
    shown = me.call(webhook.SHOW, wire.WebhookRef(name))
    me.out.card(shown, render.card(shown, me.look))


def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    *,
    signature: Annotated[Signature, typer.Option(help="How the sender signs.")],
    from_stdin: FromStdin = False,
    secret: SecretAt = None,
    type_: Annotated[
        str | None,
        typer.Option("--type", metavar="TYPE", help="Of its events; else NAME.EVENT."),
    ] = None,
) -> None:
    """Take the events of another service, at a URL that it is given.

    The secret is the one that the service signs with; if it is not said where, a terminal asks.
    What comes in is published with the rights of who made the webhook.
    """
    me = Ctx.of(ctx)
    asks = wire.WebhookNew(
        name=name, signature=signature, signing=_signing(me, from_stdin, secret), type=type_
    )
    made = me.call(webhook.ADD, asks)
    me.out.done(made, render.made(made))


def pause(ctx: typer.Context, name: Name) -> None:
    """Answer as if it were not there."""
    me = Ctx.of(ctx)
    turned = me.call(webhook.PAUSE, wire.WebhookRef(name))
    me.out.done(turned, f'paused webhook "{turned["name"]}"')


def resume(ctx: typer.Context, name: Name) -> None:
    """Take events again."""
    me = Ctx.of(ctx)
    turned = me.call(webhook.RESUME, wire.WebhookRef(name))
    me.out.done(turned, f'resumed webhook "{turned["name"]}"')


def rotate(
    ctx: typer.Context,
    name: Name,
    *,
    from_stdin: FromStdin = False,
    secret: SecretAt = None,
    keep: Annotated[
        str, typer.Option(metavar="DURATION", help="So long the secret before counts as well.")
    ] = "24h",
) -> None:
    """Give it another secret; the one before counts for a while."""
    me = Ctx.of(ctx)
    signing = _signing(me, from_stdin, secret)
    asks = wire.WebhookRotate(webhook=name, signing=signing, keep=keep)
    turned = me.call(webhook.ROTATE, asks)
    me.out.done(turned, f'webhook "{turned["name"]}" has another secret')


def edit(ctx: typer.Context, name: Name, *, owner: Owner) -> None:
    """Take an inbound webhook over, as when its owner is gone; it takes events again."""
    me = Ctx.of(ctx)
    edited = me.call(webhook.EDIT, wire.WebhookEdit(webhook=name, owner=owner))
    me.out.done(edited, f'webhook "{edited["name"]}" is yours')


def remove(ctx: typer.Context, name: Name) -> None:
    """Remove an inbound webhook; nothing comes in at its URL any more."""
    me = Ctx.of(ctx)
    ask.confirm(me, f'remove webhook "{name}"? what is sent to its URL is refused')
    gone = me.call(webhook.REMOVE, wire.WebhookRef(name))
    me.out.done(gone, f'removed webhook "{gone["name"]}"')


def _signing(me: Ctx, from_stdin: bool, secret: str | None) -> str:
    if from_stdin and secret is not None:
        raise Usage("--secret and --from-stdin exclude each other")
    if secret is not None and not secret.startswith(("@", "env:")):
        raise Usage("a secret does not belong on a command line", next=HOW)
    if from_stdin or secret is not None:
        return ask.resolve_value(me, secret or "@-", name="signing secret")
    if not sys.stdin.isatty():
        raise Usage("a signing secret is needed", next=HOW)
    return ask.secret("signing secret")

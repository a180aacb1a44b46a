"""`meshctl status` and `meshctl whoami`."""

import typer

from meshctl.cli import plain
from meshctl.cli.context import Ctx
from meshd.wire.calls import daemon


def status(ctx: typer.Context) -> None:
    """Show how things stand."""
    me = Ctx.of(ctx)
    raise typer.Exit(plain.status(me.client(), me.out))


def whoami(ctx: typer.Context) -> None:
    """Show who the daemon takes you for."""
    me = Ctx.of(ctx)
    who = me.call(daemon.WHOAMI)
    grants = [
        f"{target} {grant}" for target, granted in who["permissions"].items() for grant in granted
    ]
    pairs = [
        ("name", who["name"]),
        ("id", who["principal"]),
        ("kind", who["kind"]),
        ("org", f"{who['org']['name']}  {who['org']['id']}"),
        ("role", who.get("role") or ""),
        ("may", "\n".join(grants) or "nothing"),
    ]
    me.out.card(who, [(label, value) for label, value in pairs if value], key="principal")

"""`meshctl key …`: what clients authenticate with."""

from typing import Annotated, Any

import typer
from msgspec import UNSET

from meshctl.cli import ask
from meshctl.cli.context import Ctx
from meshctl.render import key as render
from meshd.wire import key as wire
from meshd.wire.calls import daemon, key
from meshd.wire.errors import Usage

Name = Annotated[str, typer.Argument(metavar="KEY", help="Name or id of a key.")]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="GRANT",
        help="CONNECTION, CONNECTION/TOOL, self or self/CALL; * matches. Repeatable.",
    ),
]


def list_(ctx: typer.Context) -> None:
    """List keys."""
    me = Ctx.of(ctx)
    keys = me.call(key.LIST)
    me.out.rows(render.table(me.look), keys, empty="no keys yet", next="meshctl add-key NAME")


def show(ctx: typer.Context, name: Name) -> None:
    """Show one key, never its secret."""
    me = Ctx.of(ctx)
    shown = me.call(key.SHOW, wire.KeyRef(name))
    me.out.card(shown, render.card(shown, me.look))


def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="1 to 40 of a-z, 0-9 and -.")],
    *,
    allow: Allow = None,
    role: Annotated[
        str | None, typer.Option(metavar="ROLE", help="Adds what this role allows.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="WHEN", help="12h, 90d or an ISO 8601 instant.")
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Only tools marked read-only.")
    ] = False,
    connection: Annotated[
        str | None,
        typer.Option("--for", metavar="CONNECTION", help="Its own key: it publishes as that."),
    ] = None,
) -> None:
    """Issue a key; its secret is shown once, alone on stdout."""
    me = Ctx.of(ctx)
    asks = wire.KeyAdd(
        name=name, allow=allow or UNSET, role=role, expires=expires, read_only=read_only,
        connection=connection,
    )  # fmt: skip
    _issued(me, me.call(key.ADD, asks))


def edit(
    ctx: typer.Context,
    name: Name,
    *,
    allow: Allow = None,
    revoke: Annotated[
        list[str] | None,
        typer.Option("--revoke", metavar="GRANT", help="Take away exactly this grant."),
    ] = None,
    role: Annotated[str | None, typer.Option(metavar="ROLE", help="Give it this role.")] = None,
    no_role: Annotated[bool, typer.Option("--no-role", help="Take its role away.")] = False,
    read_only: Annotated[
        bool | None,
        typer.Option("--read-only/--no-read-only", help="Only tools marked read-only, or all."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="WHEN", help="90d, an ISO 8601 instant, or never.")
    ] = None,
    new_name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="A new name.")
    ] = None,
) -> None:
    """Change what a key may do; its secret stays."""
    me = Ctx.of(ctx)
    if role is not None and no_role:
        raise Usage("--role and --no-role exclude each other")
    asks = wire.KeyEdit(
        key=name,
        name=UNSET if new_name is None else new_name,
        allow=allow or [],
        revoke=revoke or [],
        role=None if no_role else UNSET if role is None else role,
        read_only=UNSET if read_only is None else read_only,
        expires=UNSET if expires is None else None if expires == "never" else expires,
    )
    if asks == wire.KeyEdit(key=name):
        raise Usage("nothing to change", next="meshctl key edit --help")
    edited = me.call(key.EDIT, asks)
    me.out.card(edited, render.card(edited, me.look))


def rotate(ctx: typer.Context, name: Name) -> None:
    """Give a key a new secret; the one before stops at once."""
    me = Ctx.of(ctx)
    _issued(me, me.call(key.ROTATE, wire.KeyRef(name)))


def revoke(ctx: typer.Context, name: Name) -> None:
    """Revoke a key at once."""
    me = Ctx.of(ctx)
    ask.confirm(me, f'revoke key "{name}"? clients that use it stop at once')
    gone = me.call(key.REVOKE, wire.KeyRef(name))
    me.out.done(gone, f'revoked key "{gone["name"]}"')


def _issued(me: Ctx, added: dict[str, Any]) -> None:
    """The secret to stdout, everything about it to stderr."""
    if me.flags.json:
        me.out.json(added)
        return
    me.out.secret(added["key"])
    for line in render.issued(added, me.look):
        me.out.note(line)
    url = f"{me.call(daemon.STATUS)['url']}/mcp/{render.endpoint(added)}"
    me.out.next(f'point the client at {url} with header "Authorization: Bearer SECRET"')

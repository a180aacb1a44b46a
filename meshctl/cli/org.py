"""`meshctl org …`: the tenants of one daemon, and which of them the commands ask in."""

from typing import Annotated

import typer

from meshctl.cli import ask
from meshctl.cli.context import Ctx
from meshctl.render import org as render
from meshd.wire import org as wire
from meshd.wire.calls import org

Name = Annotated[str, typer.Argument(metavar="ORG", help="Name or id of an org.")]
New = Annotated[str, typer.Argument(metavar="NAME", help="1 to 40 of a-z, 0-9 and -.")]


def list_(ctx: typer.Context) -> None:
    """List orgs; the one in use is marked."""
    me = Ctx.of(ctx)
    found = me.call(org.LIST)
    names = [one["name"] for one in found]
    used = me.org or (names[0] if len(names) == 1 else None)
    me.out.rows(render.table(me.look, used), found, empty="no orgs", next="meshctl org create NAME")


def show(ctx: typer.Context, name: Name) -> None:
    """Show one org."""
    me = Ctx.of(ctx)
    shown = me.call(org.SHOW, wire.OrgRef(name))
    me.out.card(shown, render.card(shown, me.look))


def create(ctx: typer.Context, name: New) -> None:
    """Make an org; the one in use stays in use.

    Where nothing was chosen because there was only one, that one is remembered as chosen.
    """
    me = Ctx.of(ctx)
    before = [one["name"] for one in me.call(org.LIST)]
    made = me.call(org.CREATE, wire.OrgCreate(name))
    if me.home.org(None) is None and len(before) == 1:
        me.home.choose(before[0])
    me.out.done(made, f'made org "{made["name"]}"  {made["id"]}')
    me.out.next(f"meshctl org use {made['name']}")


def use(ctx: typer.Context, name: Name) -> None:
    """Choose the org that the following commands ask in.

    It is remembered in MESHCTL_HOME, for this user; --org and MESHCTL_ORG beat it.
    """
    me = Ctx.of(ctx)
    shown = me.call(org.SHOW, wire.OrgRef(name))
    me.home.choose(shown["name"])
    me.out.done(shown, f'using org "{shown["name"]}"')
    if me.environ.get("MESHCTL_ORG") not in {None, "", shown["name"]}:
        me.out.note(f"MESHCTL_ORG={me.environ['MESHCTL_ORG']} beats it")


def rename(ctx: typer.Context, name: Name, new: New) -> None:
    """Give an org another name; what it owns stays."""
    me = Ctx.of(ctx)
    before = me.call(org.SHOW, wire.OrgRef(name))["name"]
    ask.confirm(
        me, f'rename org "{before}"? whoever names it, in --org, MESHCTL_ORG or a URL, must follow'
    )
    renamed = me.call(org.RENAME, wire.OrgRename(name, new))
    if me.home.org(None) == before:
        me.home.choose(renamed["name"])
    me.out.done(renamed, f'renamed org "{before}" to "{renamed["name"]}"')


def remove(ctx: typer.Context, name: Name) -> None:
    """Remove an org with its connections, keys, events, records and credentials.

    Its keys stop at once. Its data key is destroyed, so that its credentials cannot be opened
    again, not from a copy of their rows either.
    """
    me = Ctx.of(ctx)
    shown = me.call(org.SHOW, wire.OrgRef(name))
    ask.confirm_by_name(
        me,
        f'remove org "{shown["name"]}" with {shown["connections"]} connections and'
        f" {shown['keys']} keys? this cannot be undone;",
        shown["name"],
    )
    gone = me.call(org.REMOVE, wire.OrgRef(shown["id"]), timeout=ERASING_SECONDS)
    if me.home.org(None) == gone["name"]:
        me.home.choose(None)
    me.out.done(gone, f'removed org "{gone["name"]}"')


ERASING_SECONDS = 600.0
"""What a large org may take; its call records leave in batches."""

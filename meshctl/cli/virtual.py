"""`meshctl virtual …`: several connections served as one MCP server."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer
from msgspec import UNSET, UnsetType

from meshctl.cli import ask, overrides
from meshctl.cli.context import Ctx
from meshctl.render import virtual as render
from meshd.wire import virtual as wire
from meshd.wire.calls import virtual
from meshd.wire.errors import Usage

Name = Annotated[str, typer.Argument(metavar="VIRTUAL", help="Name or id of a virtual MCP.")]
Child = Annotated[
    str, typer.Argument(metavar="CHILD", help="A connection, or another virtual MCP.")
]
Description = Annotated[
    str | None, typer.Option(metavar="TEXT", help="What it is for; or @FILE, @-, env:NAME.")
]
Instructions = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="What its clients are told at the start; or @FILE."),
]
Mode = Annotated[
    wire.Mode | None, typer.Option(help="Offer each tool, or three that search and call.")
]
Naming = Annotated[wire.Naming | None, typer.Option(help="CHILD_TOOL, or names without a prefix.")]
Globs = list[str] | None


def list_(ctx: typer.Context) -> None:
    """List virtual MCPs."""
    me = Ctx.of(ctx)
    me.out.rows(
        render.table(me.look),
        me.call(virtual.LIST),
        empty="no virtual MCPs yet",
        next="meshctl virtual create NAME CONNECTION…",
    )


def show(
    ctx: typer.Context,
    name: Name,
    *,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Measure what its list costs in each mode.")
    ] = False,
) -> None:
    """Show one virtual MCP with what it is made of."""
    me = Ctx.of(ctx)
    _shown(me, me.call(virtual.SHOW, wire.VirtualShow(name, sizes=tokens)))


def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="1 to 40 of a-z, 0-9 and -.")],
    children: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CHILD]…", help="Connections, or other virtual MCPs."),
    ] = None,
    *,
    description: Description = None,
    instructions: Instructions = None,
    mode: Mode = None,
    naming: Naming = None,
) -> None:
    """Serve several connections as one MCP server, with all their tools at first.

    It runs with the rights of who made it.
    """
    me = Ctx.of(ctx)
    asks = wire.VirtualCreate(name=name, children=children or [])
    if description is not None:
        asks.description = ask.resolve_value(me, description)
    if instructions is not None:
        asks.instructions = ask.resolve_value(me, instructions)
    asks.mode, asks.naming = mode or asks.mode, naming or asks.naming
    made = me.call(virtual.CREATE, asks)
    me.out.done(made, render.made(made))
    if made["children"]:
        me.out.next(f"meshctl add-key NAME --allow {made['name']}")
    else:
        me.out.next(f"meshctl virtual attach {made['name']} CONNECTION")


def edit(
    ctx: typer.Context,
    name: Name,
    *,
    new_name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="A new name; grants follow.")
    ] = None,
    description: Description = None,
    instructions: Instructions = None,
    mode: Mode = None,
    naming: Naming = None,
) -> None:
    """Change a virtual MCP, but not what it is made of.

    An empty text takes description or instructions away.
    """
    me = Ctx.of(ctx)
    asks = wire.VirtualEdit(
        virtual=name,
        name=UNSET if new_name is None else new_name,
        description=UNSET if description is None else ask.resolve_value(me, description),
        instructions=UNSET if instructions is None else ask.resolve_value(me, instructions),
        mode=mode or UNSET,
        naming=naming or UNSET,
    )
    if asks == wire.VirtualEdit(virtual=name):
        raise Usage("nothing to change", next="meshctl virtual edit --help")
    _shown(me, me.call(virtual.EDIT, asks))


def attach(
    ctx: typer.Context,
    name: Name,
    child: Child,
    *,
    tools: Annotated[
        Globs, typer.Option(metavar="GLOB", help="Only tools like this; repeatable. '*' is all.")
    ] = None,
    no_tools: Annotated[bool, typer.Option("--no-tools", help="None of its tools.")] = False,
    resources: Annotated[
        Globs, typer.Option(metavar="GLOB", help="Only resources with such URIs.")
    ] = None,
    no_resources: Annotated[
        bool, typer.Option("--no-resources", help="None of its resources.")
    ] = False,
    prompts: Annotated[Globs, typer.Option(metavar="GLOB", help="Only prompts like this.")] = None,
    no_prompts: Annotated[bool, typer.Option("--no-prompts", help="None of its prompts.")] = False,
    rename: Annotated[
        Globs, typer.Option(metavar="TOOL=NEW", help="Call a tool otherwise; nothing after =: not.")
    ] = None,
    describe: Annotated[
        Globs, typer.Option(metavar="TOOL=TEXT", help="Describe a tool otherwise; or @FILE.")
    ] = None,
    hide: Annotated[
        Globs, typer.Option(metavar="TOOL.ARG", help="Leave an argument out of a tool.")
    ] = None,
    pin: Annotated[
        Globs, typer.Option(metavar="TOOL.ARG=JSON", help="Give an argument this value always.")
    ] = None,
    reset: Annotated[
        Globs, typer.Option(metavar="TOOL", help="Leave a tool as its server has it.")
    ] = None,
) -> None:
    """Put a connection into a virtual MCP, or change what is selected of it.

    What is not said is everything at first, and stays as it is later; of a tool, --hide and --pin
    replace what was hidden or pinned before.
    """
    me = Ctx.of(ctx)
    asks = wire.VirtualAttach(
        virtual=name,
        child=child,
        tools=_selected("tools", tools, no_tools),
        resources=_selected("resources", resources, no_resources),
        prompts=_selected("prompts", prompts, no_prompts),
        overrides=overrides.read(
            rename=rename or (),
            describe=overrides.pairs(me, "--describe", describe or ()),
            hide=hide or (),
            pin=overrides.pairs(me, "--pin", pin or ()),
            reset=reset or (),
        ),
    )
    _shown(me, me.call(virtual.ATTACH, asks))


def detach(ctx: typer.Context, name: Name, child: Child) -> None:
    """Take a connection out of a virtual MCP."""
    me = Ctx.of(ctx)
    left = me.call(virtual.DETACH, wire.VirtualDetach(name, child))
    me.out.done(left, render.detached(left, child))


def enable(ctx: typer.Context, name: Name) -> None:
    """Serve a virtual MCP again."""
    me = Ctx.of(ctx)
    _shown(me, me.call(virtual.ENABLE, wire.VirtualRef(name)))


def disable(ctx: typer.Context, name: Name) -> None:
    """Stop serving a virtual MCP, keeping everything about it."""
    me = Ctx.of(ctx)
    _shown(me, me.call(virtual.DISABLE, wire.VirtualRef(name)))


def remove(ctx: typer.Context, name: Name) -> None:
    """Remove a virtual MCP and its grants; its connections stay."""
    me = Ctx.of(ctx)
    ask.confirm(me, f'remove virtual MCP "{name}" and the grants on it?')
    gone = me.call(virtual.REMOVE, wire.VirtualRef(name))
    me.out.done(gone, f'removed virtual MCP "{gone["name"]}"')


def _shown(me: Ctx, item: dict[str, Any]) -> None:
    me.out.card(item, render.card(item, me.look))


def _selected(what: str, globs: Iterable[str] | None, none: bool) -> list[str] | UnsetType:
    if none and globs:
        raise Usage(f"--{what} and --no-{what} do not go together")
    if none:
        return []
    return UNSET if globs is None else list(globs)

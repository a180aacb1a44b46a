"""`meshctl tool …`: what the servers behind the connections can do."""

from typing import Annotated

import typer
from msgspec import Raw

from meshctl.cli import arguments, ask
from meshctl.cli.context import Ctx
from meshctl.render import tool as render
from meshd.wire import tool as wire
from meshd.wire.calls import tool

PATIENCE_SECONDS = 3600.0
"""The daemon ends a call that takes too long; this only has to outlast it."""

ANSWERED_WITH_ERROR = 1
"""Exit codes of a result that is one but no success."""

Connection = Annotated[
    str, typer.Argument(metavar="CONNECTION", help="Name or id of a connection, or self.")
]
Tool = Annotated[str, typer.Argument(metavar="TOOL", help="The tool's name on its server.")]


def list_(
    ctx: typer.Context,
    connection: Annotated[
        str | None, typer.Argument(metavar="CONNECTION", help="Only tools of this one.")
    ] = None,
) -> None:
    """List the tools one may call."""
    me = Ctx.of(ctx)
    tools = me.call(tool.LIST, wire.ToolList(connection=connection))
    empty = f'no tools behind "{connection}"' if connection else "no tools yet"
    then = f"meshctl connection test {connection}" if connection else "meshctl connect NAME URL"
    me.out.rows(render.table(me.look), tools, empty=empty, next=then)


def show(ctx: typer.Context, connection: Connection, name: Tool) -> None:
    """Show one tool with its arguments."""
    me = Ctx.of(ctx)
    shown = me.call(tool.SHOW, wire.ToolRef(connection=connection, tool=name))
    me.out.card(shown, render.card(shown, me.look), key="name")


def call(
    ctx: typer.Context,
    connection: Connection,
    name: Tool,
    pairs: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Arguments, typed as the tool declares them."),
    ] = None,
    *,
    args: Annotated[
        str | None, typer.Option(metavar="JSON", help="All arguments: JSON, @FILE or @-.")
    ] = None,
) -> None:
    """Call a tool."""
    me = Ctx.of(ctx)
    given = b"{}" if args is None else arguments.base(_text(me, args))
    if pairs:
        declared = me.call(tool.SHOW, wire.ToolRef(connection=connection, tool=name))
        given = arguments.merged(given, pairs, declared["schema"])
    asks = wire.ToolCall(connection=connection, tool=name, arguments=Raw(given))
    answer = me.call(tool.CALL, asks, timeout=PATIENCE_SECONDS)
    result = answer["result"]
    if me.flags.json:
        me.out.json(result)
    else:
        for line in render.content(result):
            me.out.line(line)
    if code := _exit_code(result):
        me.out.next(f"meshctl call show {answer['call_id']}")
        raise typer.Exit(code)


def _text(me: Ctx, args: str) -> str:
    """What `--args` names; JSON is taken as it stands and is no place to look for secrets."""
    return ask.resolve_value(me, args) if args.startswith("@") else args


def _exit_code(result: dict[str, object]) -> int:
    return ANSWERED_WITH_ERROR if result.get("isError") is True else 0

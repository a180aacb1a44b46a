"""`meshctl stdio`: for MCP clients that can only run a program. The work is in `client.bridge`."""

from typing import Annotated

import typer

from meshctl.cli.context import Ctx
from meshctl.client.bridge import bridge


def stdio(
    ctx: typer.Context,
    connection: Annotated[
        str, typer.Argument(metavar="CONNECTION", help="Name or id of a connection, or self.")
    ],
    key: Annotated[
        str | None, typer.Option(metavar="NAME", help="Act as this key, within what it may do.")
    ] = None,
) -> None:
    """Serve a connection on stdin and stdout, for clients that know nothing else."""
    me = Ctx.of(ctx)
    start = not me.flags.no_start
    raise typer.Exit(bridge(me.home, connection, key=key, org=me.org, start=start))

"""`meshctl completion SHELL`: completion scripts. Their text stands in `scripts`."""

from typing import Annotated

import typer

from meshctl.cli import names
from meshctl.cli.context import Ctx
from meshd.wire.errors import Usage


def completion(
    ctx: typer.Context,
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
    kind: Annotated[str | None, typer.Argument(hidden=True)] = None,
) -> None:
    """Print the completion script of a shell."""
    from meshctl.cli.scripts import SHELLS  # the whole tree, which `names` has no time for
    from meshctl.cli.walk import commands

    me = Ctx.of(ctx)
    if shell == "names" and kind is not None:
        raise typer.Exit(names.names(kind, me.flags, me.environ))
    if shell not in SHELLS or kind is not None:
        raise Usage(f'no completion for "{shell}"', next="meshctl completion bash")
    me.out.line(SHELLS[shell](commands()).rstrip("\n"))

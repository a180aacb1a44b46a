"""`meshctl version`."""

import typer

from meshctl.cli import plain
from meshctl.cli.context import Ctx


def version(ctx: typer.Context) -> None:
    """Print the version."""
    plain.version(Ctx.of(ctx).out)

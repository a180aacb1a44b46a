"""`meshctl config …`: the daemon's settings as its program reads them here, daemon or not."""

from typing import Annotated, Any

import typer

from meshctl.cli.context import Ctx
from meshctl.cli.env_files import EnvFiles, arguments
from meshctl.client.program import ask
from meshctl.render import config as render
from meshctl.render.safe import safe
from meshd.wire.errors import NotFound

Name = Annotated[str, typer.Argument(metavar="NAME", help="A setting, as PORT or port.")]


def list_(ctx: typer.Context, env_file: EnvFiles = None) -> None:
    """List the settings with their values, and where each was said.

    What a running daemon was started with is shown by `meshctl daemon show`.
    """
    me = Ctx.of(ctx)
    me.out.rows(render.listed(), _settings(me, env_file), empty="there are no settings")


def get(ctx: typer.Context, name: Name, env_file: EnvFiles = None) -> None:
    """Print the value of one setting."""
    me = Ctx.of(ctx)
    settings = {setting["name"]: setting for setting in _settings(me, env_file)}
    found = settings.get(name.upper())
    if found is None:
        raise NotFound(f'there is no setting "{name}"', next="meshctl config list")
    if me.out.as_json:
        me.out.json(found)
    else:
        me.out.line(safe(found["value"]))


def _settings(me: Ctx, env_file: EnvFiles) -> list[dict[str, Any]]:
    settings: list[dict[str, Any]] = ask(me.home, "config", *arguments(env_file))
    return settings

"""The option `--env-file`, and what of it the daemon's program is told."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

EnvFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--env-file", metavar="FILE", help="Settings as KEY=VALUE lines, below the environment."
    ),
]


def arguments(files: Sequence[Path] | None) -> list[str]:
    """The daemon runs in another folder, hence absolute paths."""
    return [word for file in files or () for word in ("--env-file", str(file.absolute()))]

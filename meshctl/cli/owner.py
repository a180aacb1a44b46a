"""The option `--owner`, by which somebody takes over what acts with its owner's rights."""

from typing import Annotated

import typer

Owner = Annotated[
    str, typer.Option("--owner", metavar="WHO", help="me: it runs with your rights then.")
]

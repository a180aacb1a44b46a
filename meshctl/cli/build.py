"""From rows of the tree to typer commands, as few of them as a command line needs."""

from __future__ import annotations

import gc
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer

from meshctl.cli.tree import ALIASES, NOUNS, ROWS, Row
from meshd.wire.errors import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from meshctl.cli.context import Ctx

EPILOG = (
    "Global options, anywhere: --org NAME, --json, --quiet, --yes, --no-start (meshctl help flags)"
)

_APP: dict[str, Any] = {
    "add_completion": False,
    "rich_markup_mode": None,  # plain help: rich would cost as much as everything else together
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


def run(words: Sequence[str], me: Ctx) -> int:
    """Run one command line, without its global flags, and give the exit code.

    Raises:
        Usage: the line is not valid.
        MeshError: as the command.
    """
    rows = [row for row in ROWS if words[0] in (row.noun, row.words, *row.also)]
    line = [*words, "--help"] if len(words) == 1 and words[0] in NOUNS else list(words)
    root = typer.main.get_command(app(rows))
    gc.enable()  # see `main`
    try:
        with root.make_context("meshctl", line, obj=me) as context:
            root.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except typer.TyperException as wrong:
        raise _usage(wrong) from wrong
    return 0


def app(rows: Iterable[Row] = ROWS) -> typer.Typer:
    """The commands of these rows, nouns and short verbs; importing their modules."""
    root = _group("The command line of meshctl.")
    nouns: dict[str, typer.Typer] = {}
    for row in rows:
        function = load(row)
        for short in (*row.also, *(() if row.noun else (row.words,))):
            _add(root, short, function, row, same_as=row.words if short in row.also else None)
        if row.noun:
            if row.noun not in nouns:
                nouns[row.noun] = _group(NOUNS[row.noun])
                root.add_typer(nouns[row.noun], name=row.noun)
            _add(nouns[row.noun], row.verb, function, row)
            for alias, verb in ALIASES.items():
                if verb == row.verb:
                    _add(nouns[row.noun], alias, function, row, hidden=True)
    return root


def load(row: Row) -> Callable[..., None]:
    """The function behind a row."""
    module, _, name = row.target.partition(":")
    function: Callable[..., None] = getattr(import_module(module), name)
    return function


def _group(about: str) -> typer.Typer:
    group = typer.Typer(help=about, epilog=EPILOG, **_APP)
    group.callback()(_nothing)  # keeps a group with a single command a group
    return group


def _nothing() -> None:
    return


def _add(
    group: typer.Typer,
    word: str,
    function: Callable[..., None],
    row: Row,
    *,
    same_as: str | None = None,
    hidden: bool = False,
) -> None:
    text = prose(function)
    if same_as:
        text += f"\n\nSame as: meshctl {same_as}"
    group.command(word, help=text, epilog=EPILOG, hidden=hidden or row.hidden)(function)


def prose(function: Callable[..., None]) -> str:
    """A command's docstring without the sections for readers of the code."""
    from inspect import cleandoc

    text = cleandoc(function.__doc__ or "")
    for section in ("\n\nRaises:", "\n\nArgs:", "\n\nReturns:"):
        text = text.partition(section)[0]
    return text


def _usage(wrong: typer.TyperException) -> Usage:
    text = wrong.format_message().strip().rstrip(".")
    context = getattr(wrong, "ctx", None)
    command = context.command_path if context is not None else "meshctl"
    return Usage(text, next=f"{command} --help")

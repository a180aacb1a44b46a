"""The whole tree as plain data, for the documents that are generated from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from meshctl.cli.build import app, load, prose
from meshctl.cli.tree import NOUNS, ROWS, Row

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument or option as the help shows it; `options` are the words that name it."""

    shown: str
    help: str
    options: tuple[str, ...]
    takes_value: bool


@dataclass(frozen=True, slots=True)
class Command:
    """One command under its full words, with the short verbs for it."""

    words: str
    also: tuple[str, ...]
    summary: str
    prose: str
    usage: str
    parameters: tuple[Parameter, ...]

    @property
    def options(self) -> tuple[Parameter, ...]:
        """The parameters that begin with a dash."""
        return tuple(one for one in self.parameters if one.options)

    @property
    def arguments(self) -> tuple[Parameter, ...]:
        """The parameters told by their place."""
        return tuple(one for one in self.parameters if not one.options)


def commands() -> tuple[Command, ...]:
    """Every command that is not hidden, in the order of the tree."""
    root: Any = typer.main.get_command(app())
    return tuple(_command(row, _found(root, row.words)) for row in ROWS if not row.hidden)


def first_words(tree: tuple[Command, ...]) -> Iterator[tuple[str, str]]:
    """What may stand first on a command line, with what it is."""
    for command in tree:
        for word in (command.words, *command.also):
            if " " not in word:
                yield word, command.summary
    yield from NOUNS.items()


def verbs(noun: str, tree: tuple[Command, ...]) -> Iterator[tuple[str, str]]:
    """What may stand behind a noun."""
    for command in tree:
        head, _, verb = command.words.partition(" ")
        if verb and head == noun:
            yield verb, command.summary


def _found(command: Any, words: str) -> Any:
    for word in words.split():
        command = command.commands[word]
    return command


def _command(row: Row, command: Any) -> Command:
    context = typer.Context(command, info_name=f"meshctl {row.words}")
    return Command(
        words=row.words,
        also=row.also,
        summary=row.summary,
        prose=prose(load(row)),
        usage=" ".join(map(_bare, command.collect_usage_pieces(context))),
        parameters=tuple(
            _parameter(one, context)
            for one in command.params
            if not getattr(one, "hidden", False) and one.name != "help"
        ),
    )


def _bare(shown: str) -> str:
    """A metavar without the braces that mark a required one; `[…]` marks the others."""
    return shown.replace("{", "").replace("}", "")


def _parameter(one: Any, context: typer.Context) -> Parameter:
    shown, text = one.get_help_record(context) or (one.make_metavar(context), "")
    named = one.param_type_name == "option"
    return Parameter(
        shown=_bare(shown),
        help=text,
        options=(*one.opts, *one.secondary_opts) if named else (),
        takes_value=named and not one.is_flag,
    )

"""The way in for every command that is not served by `hot`: the overview, and the way to typer."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from meshctl.cli.context import Ctx
from meshctl.cli.flags import GLOBAL
from meshctl.cli.output import Output
from meshctl.cli.tree import EVERYDAY, NOUNS, ROWS, find, first_words
from meshctl.client.home import Home
from meshd.wire.errors import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshctl.cli.flags import Flags

USAGE = "usage: meshctl COMMAND [ARGUMENTS] [OPTIONS]"
ABOUT = "The command line of a control plane for MCP traffic."
WIDTH = 80
CLOSING = "Help for a command: meshctl COMMAND --help. Topics: meshctl help."


def serve(flags: Flags, words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run any command line, without its global flags, and give the exit code.

    Raises:
        Usage: there is no such command.
        MeshError: as the command.
    """
    out = Output(flags, environ)
    if not words or list(words) in (["--help"], ["-h"]):
        out.line(overview())
        return 0
    _known(words[0])
    row = find(words)
    from meshctl.cli.build import run

    start = row is not None and row.start
    return run(words, Ctx(flags, Home.find(environ), out, environ, start=start))


def overview() -> str:
    """The help of `meshctl` itself, from the tables alone."""
    size = max(len(word) for word, _ in [*everyday(), *flag_lines()])
    lines = [USAGE, "", ABOUT]
    for title, pairs in (
        ("Everyday", everyday()),
        ("Everything", nouns()),
        ("Global options, anywhere on the line", flag_lines()),
    ):
        lines += ["", f"{title}:", *(line for pair in pairs for line in _entry(*pair, size))]
    return "\n".join([*lines, "", CLOSING])


def _entry(word: str, text: str, size: int) -> list[str]:
    """A word and its help, folded where a common terminal ends, whatever the present one is."""
    first, *more = wrap(text, WIDTH - size - 4)
    return [f"  {word:<{size}}  {first}", *(" " * (size + 4) + line for line in more)]


def everyday() -> list[tuple[str, str]]:
    """The words of the first panel with what they do, a short verb with what it stands for."""
    pairs = []
    for word in EVERYDAY:
        row = find([word])
        if row is None:
            raise LookupError(word)
        same = f" (same as: {row.words})" if word in row.also else ""
        pairs.append((word, row.summary + same))
    return pairs


def nouns() -> list[tuple[str, str]]:
    """Each noun with its verbs."""
    return [
        (noun, " ".join(row.verb for row in ROWS if row.noun == noun and not row.hidden))
        for noun in NOUNS
    ]


def flag_lines() -> list[tuple[str, str]]:
    """Each global flag with its help and its environment variable."""
    return [
        (f"{word} {value}".strip(), text + (f" [env: {variable}]" if variable else ""))
        for word, value, variable, text in GLOBAL
    ]


def _known(word: str) -> None:
    words = first_words()
    if word in words or any(word == row.words for row in ROWS):
        return
    kind = "option" if word.startswith("-") else "command"
    from difflib import get_close_matches

    near = get_close_matches(word, words, n=3)
    raise Usage(
        f'no {kind} "{word}"',
        facts={"did you mean": ", ".join(near)} if near else None,
        next="meshctl --help",
    )

"""Command lines as text, cut into words. No shell runs: nothing is expanded or executed."""

from __future__ import annotations

import re
import shlex

from meshctl.desktop.errors import DesktopError

_CONTINUED = re.compile(r"\\[ \t]*\r?\n[ \t]*")
_COMMENT = re.compile(r"(?:^[ \t]*#|[ \t]#[ \t]).*$", re.MULTILINE)
_PROMPT = re.compile(r"^[ \t]*[$%>\u276f][ \t]+", re.MULTILINE)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")

OPERATORS = frozenset({"|", "||", "&", "&&", ";", ">", ">>", "<", "2>&1"})
"""Words that only a shell gives a meaning to."""


def split_commands(text: str) -> list[list[str]]:
    r"""Return the argv of each line; `\` continues a line, prompts and comments are dropped.

    Raises `DesktopError` where a quote is never closed.
    """
    text = _PROMPT.sub("", _COMMENT.sub("", _CONTINUED.sub(" ", text)))
    # A line break outside quotes comes out as a word of its own, so that lines stay apart.
    lexer = shlex.shlex(text.replace("\r\n", "\n"), posix=True, punctuation_chars="\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    commands: list[list[str]] = [[]]
    try:
        for word in lexer:
            if word and not word.strip("\n"):
                commands.append([])
            else:
                commands[-1].append(word)
    except ValueError:
        raise DesktopError(
            "the line has a quote or a backslash that is never closed",
            "copy the whole line, up to its last quote",
        ) from None
    return [words for words in commands if words]


def take_assignments(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return the leading `VAR=value` words (after `env` or `export` too) and the rest."""
    place = 1 if words[0] in {"env", "export"} else 0
    env: dict[str, str] = {}
    while place < len(words) and _ASSIGNMENT.match(words[place]):
        name, _, value = words[place].partition("=")
        env[name] = value
        place += 1
    return env, words[place:]


def is_assignment(word: str) -> bool:
    """Tell whether a word is `NAME=value`."""
    return _ASSIGNMENT.match(word) is not None


def header(text: str) -> tuple[str, str]:
    """Return name and value of a `Name: value` word; raises `DesktopError`."""
    name, colon, value = text.partition(":")
    if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~\w-]+", name.strip(), re.ASCII):
        raise DesktopError("a header without a name", 'write it as "Name: value", in quotes')
    return name.strip(), value.strip()

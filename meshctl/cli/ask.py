"""What a command asks a person, and values that stand somewhere else than on the command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from meshd.wire.errors import MeshError, NotFound, Usage

if TYPE_CHECKING:
    from meshctl.cli.context import Ctx

VALUE_BYTES = 1024 * 1024
"""The longest value that a file or stdin may hold."""


def confirm(me: Ctx, question: str) -> None:
    """Go on only if a person agrees, or agreed beforehand with `--yes`.

    Raises:
        Usage: there is no terminal to ask on; nothing was done.
        MeshError: the answer was no.
    """
    if me.flags.yes:
        return
    _need_terminal(question)
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise MeshError("nothing was done")


def confirm_by_name(me: Ctx, question: str, name: str) -> None:
    """As `confirm`, for what cannot be undone: a person types the name of what goes."""
    if me.flags.yes:
        return
    _need_terminal(question)
    sys.stderr.write(f"{question} type {name} to go on: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != name:
        raise MeshError("nothing was done")


def _need_terminal(question: str) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Usage(
            "this asks first, and there is no terminal to ask on; nothing was done",
            facts={"question": question},
            next="the same command with --yes",
        )


def secret(question: str) -> str:
    """A secret typed without being shown.

    Raises:
        Usage: there is no terminal to type on, or nothing was typed.
    """
    if not sys.stdin.isatty():
        raise Usage(
            "there is no terminal to type a secret on", next="give it as @FILE, @- or env:NAME"
        )
    from getpass import getpass

    text = getpass(f"{question}: ", stream=sys.stderr)
    if not text:
        raise Usage("nothing was typed")
    return text


def resolve_value(me: Ctx, text: str, *, name: str = "") -> str:
    """The value behind `@FILE`, `@-` (stdin) or `env:NAME`; other text is the value itself.

    A value that stands on the command line and looks secret (by itself, or by its `name`) draws a
    warning: other users of the machine see it in the process list, and the shell keeps it.

    Raises:
        Usage: it cannot be read, or it is a `secret://` reference.
        NotFound: the file or the variable does not exist.
    """
    if text == "@-":
        return _decoded(sys.stdin.buffer.read(VALUE_BYTES + 1), "stdin")
    if text.startswith("@"):
        return _file(text[1:])
    if text.startswith("env:"):
        return _variable(me, text.removeprefix("env:"))
    if text.startswith("secret://"):
        raise Usage(
            "secret:// references need stored credentials, which this release does not have",
            next="give the value as @FILE, @- or env:NAME",
        )
    from meshctl.desktop.spec import looks_secret

    if looks_secret(name, text):
        what = f" of {name}" if name else ""
        me.out.note(
            f"warning: the value{what} looks secret, and stands in your shell's history;"
            " @FILE, @- and env:NAME keep it out"
        )
    return text


def _file(path: str) -> str:
    try:
        with Path(path).expanduser().open("rb") as file:
            return _decoded(file.read(VALUE_BYTES + 1), path)
    except FileNotFoundError:
        raise NotFound(f"no file {path}") from None
    except OSError as error:
        raise Usage(
            f"cannot read {path}", facts={"reason": os.strerror(error.errno or 0)}
        ) from None


def _decoded(data: bytes, source: str) -> str:
    """Text without the line end that editors and `echo` add."""
    if len(data) > VALUE_BYTES:
        raise Usage(f"{source} holds more than {VALUE_BYTES} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Usage(f"{source} is not UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")


def _variable(me: Ctx, name: str) -> str:
    value = me.environ.get(name)
    if not value:
        raise NotFound(f"the environment has no {name}", next=f"export {name}=…")
    return value

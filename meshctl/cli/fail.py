"""The only writer of errors, and the only place that knows an error's exit code."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from meshctl.cli.flags import Flags
    from meshd.wire.errors import MeshError

INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 and the number of SIGINT."""


def report(error: Exception, flags: Flags | None, err: TextIO | None = None) -> int:
    """Say what went wrong on stderr, and give the exit code.

    The text form is the sentence, indented facts, and a runnable next step. With `--json` it is
    the error body of the API.
    """
    from meshd.wire.errors import MeshError

    err = err or sys.stderr
    if flags is not None and flags.debug:
        import traceback

        traceback.print_exception(error, file=err)
    known = error if isinstance(error, MeshError) else _unknown(error)
    if flags is not None and flags.json:
        import json

        from meshctl.render.safe import safe_json

        err.write(safe_json(json.dumps(known.body(), ensure_ascii=False)) + "\n")
    else:
        err.write(text(known))
    return known.exit_code


def text(error: MeshError) -> str:
    """The text form. Facts and sentences may hold foreign words; escapes in them are shown."""
    from meshctl.render.safe import safe

    lines = [f"error: {safe(_lower(error.message))}"]
    lines += [f"  {safe(str(name))}: {safe(str(fact))}" for name, fact in error.facts.items()]
    if error.next:
        lines.append(f"next: {safe(error.next)}")
    return "\n".join(lines) + "\n"


def _lower(sentence: str) -> str:
    """Without the capital of a sentence's first word; names such as MCP keep theirs."""
    word = sentence.split(" ", 1)[0]
    return sentence[:1].lower() + sentence[1:] if word[1:].islower() else sentence


def _unknown(error: Exception) -> MeshError:
    from meshd.wire.errors import Internal

    if isinstance(error, OSError):
        name = f" {error.filename}" if error.filename else ""
        return Internal(f"{error.strerror or error}{name}")
    return Internal(
        f"meshctl failed in a way nobody foresaw: {type(error).__name__}: {error}",
        next="run the same command with --debug, and report what it prints",
    )

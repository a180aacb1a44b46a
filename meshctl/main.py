"""The entry point: one command line in, one exit code out."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from meshctl.cli.flags import Flags


def run() -> NoReturn:
    """Run `sys.argv` and end the process.

    It ends without taking the interpreter apart, which would cost a typer command twice what a
    bare Python costs. Nothing here leaves work for that moment.
    """
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)


def main(argv: Sequence[str]) -> int:
    """The exit code of a command line, all output written.

    A closed stdout is a reader that has enough, which is success; Ctrl-C is 130.
    """
    flags: Flags | None = None
    try:
        from meshctl.cli.flags import take

        flags, words = take(argv, os.environ)
        code = _serve(flags, words)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the one place where errors become exit codes
        from meshctl.cli.fail import report

        sys.stdout.flush()
        return report(error, flags)
    return code


def _serve(flags: Flags, words: list[str]) -> int:
    from meshctl.cli import hot

    code = hot.serve(flags, words, os.environ)
    if code is not None:
        return code
    import gc

    gc.disable()  # imports make no garbage, and looking for it takes time; `build` ends this
    from meshctl.cli.front import serve

    return serve(flags, words, os.environ)

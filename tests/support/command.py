"""`meshctl` as a process beside a real daemon: its exit code, stdout and stderr."""

import subprocess
import sys
from typing import NamedTuple

from tests.support.daemon import Daemon


class Ran(NamedTuple):
    """How a command line ended."""

    code: int
    out: str
    err: str


def meshctl(daemon: Daemon, *argv: str, stdin: str = "", **environ: str) -> Ran:
    """Run one command line in the daemon's home and environment."""
    done = subprocess.run(
        [sys.executable, "-m", "meshctl", *argv],
        input=stdin, capture_output=True, text=True, timeout=60, check=False,
        env={**daemon.environ, **environ},
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)

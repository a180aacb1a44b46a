"""`meshctl` as a process, with what it imported."""

import os
import subprocess
import sys
from typing import NamedTuple


class Ran(NamedTuple):
    """How a process ended."""

    code: int
    out: str
    err: str


def meshctl(*argv, home, stdin="", **environ):
    """Run a command line with nothing of this process's environment but the way to Python."""
    done = subprocess.run(
        [sys.executable, "-m", "meshctl", *argv],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(home, **environ),
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def environment(home, **environ):
    """The variables of a command line in a home."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**kept, "MESHCTL_HOME": home.text, "TZ": "UTC", "LC_ALL": "C.UTF-8", **environ}


def imported(*argv, home):
    """The modules that a command line imports, and how it ended."""
    code = (
        "import sys, os\n"
        f"sys.argv = ['meshctl', *{list(argv)!r}]\n"
        "from meshctl.main import main\n"
        "code = main(sys.argv[1:])\n"
        "print(code, *sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(home),
    )
    code, *modules = done.stderr.splitlines()[-1].split()
    return int(code), set(modules)

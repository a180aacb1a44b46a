"""Kills the process groups that a dead daemon left behind. Run as a program, one per daemon.

Each line of its stdin is `+GROUP` for a group that began or `-GROUP` for one that is gone. The
system ends that stdin however the daemon dies, and then the groups that are left are killed; there
are none when the daemon stopped in order. What is asked of the daemon's group or terminal does not
concern it. It knows only a few modules of Python, so that it starts at once and stays small.
"""

import os
import signal
import sys
from collections.abc import Iterable


def left(lines: Iterable[bytes]) -> set[int]:
    """The groups that run when `lines` end. A line cut short by the end is none."""
    groups: set[int] = set()
    for line in lines:
        if not line.endswith(b"\n"):
            continue
        number = int(line[1:])
        if line.startswith(b"+"):
            groups.add(number)
        else:
            groups.discard(number)
    return groups


def main() -> None:
    """Read until the end, then kill."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    for group in left(sys.stdin.buffer):
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue  # gone meanwhile; macOS answers a group of zombies with "not permitted"


if __name__ == "__main__":
    main()

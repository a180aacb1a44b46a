"""The daemon as a process of the system: who may look into it, and how many files it may open."""

import ctypes
import os
import resource
import socket
import sys

_PR_SET_DUMPABLE = 4
MOST_FILES = 65_536


def close_to_others() -> None:
    """No core dump, and no debugger or `/proc/PID/mem` of the same user: keys are in memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def raise_file_limit() -> None:
    """Take what may be taken: each connection is a file, and the usual 1024 are too few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if sys.platform == "darwin":
        most = min(most, os.sysconf("SC_OPEN_MAX"))  # more is refused though the limit says so
    if soft != resource.RLIM_INFINITY and most > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def notify(address: str, state: str) -> None:
    """Tell the service manager at `address`: `READY=1`, `WATCHDOG=1`, `STOPPING=1`.

    An empty address is that of none.

    Source: sd_notify(3).
    """
    if not address.startswith(("/", "@")):
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(state.encode(), address.replace("@", "\0", 1))
    except OSError:
        return  # nobody listens; serving goes on

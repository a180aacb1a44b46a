"""What this process uses of the machine."""

import resource
import sys
import threading
import time
from pathlib import Path

_FILES = Path("/dev/fd")
"""One entry for each open file, on Linux and macOS."""


def resident_bytes() -> int:
    """Resident memory now; on macOS the peak, which is what the system tells."""
    if sys.platform == "linux":
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - one read, no path
            return int(file.read().split()[1]) * resource.getpagesize()
    else:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def cpu_seconds() -> float:
    """Processor time since the start, in user and system mode, of all threads."""
    return time.process_time()


def open_files() -> int:
    """Files, sockets and pipes that are open."""
    return sum(1 for _ in _FILES.iterdir()) - 1  # the listing's own


def most_files() -> int:
    """How many may be open at once."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def threads() -> int:
    """Threads that Python knows of."""
    return threading.active_count()

"""Where tests keep their files: in memory where there is room, since a disk is waited for.

The suite makes thousands of databases, each synced many times. What is promised of a disk is shown
by the calls that a traced daemon makes, not by the disk under the tests.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM = 4 << 30
"""Bytes that have to be free; one run takes less than one GiB."""


def use_memory() -> None:
    """Put this process's temporary files there, and those of its children. `TMPDIR` beats it."""
    if "TMPDIR" not in os.environ and _is_good(MEMORY):
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # it may have been asked for already


def _is_good(folder: Path) -> bool:
    """Whether it is there, has room, and programs in it may be run."""
    if sys.platform != "linux" or not os.access(folder, os.W_OK):
        return False
    runs = not os.statvfs(folder).f_flag & os.ST_NOEXEC
    return runs and shutil.disk_usage(folder).free >= ROOM

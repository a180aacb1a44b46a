"""What a process used, by the kernel's own account, and how long a program takes."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float | None:
    """CPU time of a process, its children not counted; None where there is no /proc."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Meter:
    """CPU time of a process from now on."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = cpu_seconds(pid)

    def ms_per(self, number: int) -> float | None:
        """Milliseconds used since, for each of so many."""
        now = cpu_seconds(self._pid)
        if now is None or self._before is None or not number:
            return None
        return (now - self._before) * 1000 / number


def timed(command: Sequence[str], env: Mapping[str, str]) -> float:
    """Milliseconds that a program takes from its start to its end."""
    began = time.perf_counter()
    subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return (time.perf_counter() - began) * 1000

"""System calls of a daemon, in order: what was synced to disk before which answer was written."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

SYNCS = ("fsync", "fdatasync")
READS = ("recvfrom", "recvmsg", "read")
WRITES = ("sendto", "sendmsg", "write", "writev")
_LINE = re.compile(r"^\d+ +(?:<\.\.\. )?(\w+)(.*)$")


def traced(output: Path) -> tuple[str, ...]:
    """What to put before a command to have its system calls in `output`."""
    strace = shutil.which("strace")
    assert strace is not None, "strace is missing: install it (apt-get install strace)"
    calls = ",".join((*SYNCS, *READS, *WRITES))
    return (strace, "-D", "-f", "-y", "-qq", "-s", "256", "-e", f"trace={calls}", "-o", str(output))


@dataclass(frozen=True)
class Syscall:
    """One line of the trace. `rest` has the arguments; descriptors show their paths."""

    name: str
    rest: str


def calls(output: Path) -> list[Syscall]:
    """The trace so far. A call that another interrupted counts where it began."""
    found = []
    for line in output.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is not None:
            found.append(Syscall(match[1], match[2]))
    return found


def answered(trace: list[Syscall], request: str) -> tuple[int, int]:
    """Where a request that holds `request` arrived, and where its answer was written.

    Raises:
        StopIteration: there is no such pair.
    """
    arrival = next(
        at for at, call in enumerate(trace) if call.name in READS and request in call.rest
    )
    answer = next(
        at
        for at, call in enumerate(trace)
        if at > arrival and call.name in WRITES and '"HTTP/1.1 ' in call.rest
    )
    return arrival, answer


def synced(trace: list[Syscall], path: Path) -> bool:
    """Whether the file was synced to disk in this part of the trace."""
    return any(call.name in SYNCS and f"<{path}>" in call.rest for call in trace)

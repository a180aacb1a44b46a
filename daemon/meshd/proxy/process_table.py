"""Who runs on this machine: process, group, session, start and memory, from /proc or `ps`.

A pid alone names nobody, since the system gives it out again; a pid with its start time does.
"""

import os
import resource
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

PROC = Path("/proc")


class Process(msgspec.Struct, frozen=True):
    """One running process; zombies are none."""

    pid: int
    pgid: int
    sid: int
    started: float
    """Linux: clock ticks since boot. Elsewhere: seconds since the epoch."""
    rss: int
    """Resident memory, in bytes."""


def boot_id() -> str:
    """A name for the time since the last boot, within which start times compare."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""  # start times from `ps` are absolute


def find(pid: int) -> Process | None:
    """The process that has `pid` now."""
    if _has_proc():
        return _from_proc(pid)
    return next(from_ps("-p", str(pid)), None)


def everyone() -> Iterator[Process]:
    """Every process that can be seen."""
    return from_proc() if _has_proc() else from_ps("-ax")


def _has_proc() -> bool:
    return (PROC / "self/stat").exists()


def from_proc() -> Iterator[Process]:
    """Every process, by /proc (Linux)."""
    for entry in PROC.iterdir():
        if entry.name.isdecimal() and (process := _from_proc(int(entry.name))) is not None:
            yield process


def _from_proc(pid: int) -> Process | None:
    try:
        stat = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The second field is the command in parentheses, and may hold spaces and parentheses itself;
    # counted from the third, fields 5, 6, 22 and 24 of proc(5) are 2, 3, 19 and 21.
    fields = stat.rpartition(b")")[2].split()
    if fields[0] in {b"Z", b"X"}:
        return None
    rss = int(fields[21]) * resource.getpagesize()
    return Process(pid, int(fields[2]), int(fields[3]), float(fields[19]), rss)


def from_ps(*which: str) -> Iterator[Process]:
    """The processes that `ps` lists for the options `which` (macOS, and any POSIX system)."""
    listing = subprocess.run(
        ["ps", *which, "-o", "pid=,pgid=,rss=,state=,lstart="],
        env={"PATH": "/bin:/usr/bin", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    for line in listing.stdout.splitlines():
        pid, pgid, rss, state, started = line.split(maxsplit=4)
        if state.startswith("Z"):
            continue
        try:
            sid = os.getsid(int(pid))  # the column of macOS is an address
        except OSError:
            continue
        began = time.mktime(time.strptime(started.strip()))
        yield Process(int(pid), int(pgid), sid, began, int(rss) * 1024)

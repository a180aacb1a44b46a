"""Children that outlived their daemon: recorded when they start, killed when the next one starts.

One small file a child, named after its pid, for as long as it runs. What left the child's process
group by itself (a daemon of its own making) is out of reach.
"""

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec

from meshd.proxy import process_table
from meshd.proxy.process_table import Process

TERM_WAIT = 2.0
"""Seconds an orphan has for its own end, before it is killed."""

_Pid = Annotated[int, msgspec.Meta(gt=1)]


class Record(msgspec.Struct, frozen=True):
    """A child as it is remembered: it leads the session and the group that carry its pid."""

    pid: _Pid
    pgid: _Pid
    boot: str
    started: float
    command: str


_record = msgspec.json.Decoder(Record)


def remember(folder: Path, pid: int, command: str) -> Path | None:
    """Record the running child `pid` in `folder`; None when it has ended already.

    Not synced to disk: a crash of the machine ends the children too.

    Raises:
        OSError: the record cannot be written.
    """
    process = process_table.find(pid)
    if process is None:
        return None
    record = Record(pid, process.pgid, process_table.boot_id(), process.started, command)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{pid}.json"
    draft = folder / f"{pid}.draft"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - opened by descriptor, for its mode
        file.write(msgspec.json.encode(record))
    return draft.replace(path)


def reap(folder: Path, *, term_wait: float = TERM_WAIT) -> list[int]:
    """Kill what a dead daemon left running and drop its records; the groups that were killed.

    Blocks for `term_wait` seconds at most. Only the daemon that holds the lock may call this, and
    before it starts children of its own.
    """
    records = _running(_read_records(folder))
    _signal(records, signal.SIGTERM)
    left = records
    deadline = time.monotonic() + term_wait
    while (left := _running(left)) and time.monotonic() < deadline:
        time.sleep(0.05)
    _signal(left, signal.SIGKILL)
    for path in folder.glob("*"):
        path.unlink(missing_ok=True)
    return [record.pgid for record in records]


def _read_records(folder: Path) -> Iterable[Record]:
    for path in folder.glob("*.json"):
        try:
            record = _record.decode(path.read_bytes())
        except (OSError, msgspec.DecodeError):
            continue
        if record.pgid != os.getpgrp() and record.boot == process_table.boot_id():
            yield record


def _running(records: Iterable[Record]) -> list[Record]:
    """The records whose group still has members."""
    records = list(records)
    processes = list(process_table.everyone()) if records else []
    return [record for record in records if _has_members(record, processes)]


def _has_members(record: Record, processes: Iterable[Process]) -> bool:
    """Whether the recorded child's group is among `processes`, the child itself perhaps gone.

    The kernel gives no pid out again while a group carries it. So a leader with another start time
    means that the recorded group is gone, and no member can be older than its leader.
    """
    group = [process for process in processes if process.pgid == process.sid == record.pgid]
    if any(process.pid == record.pid and process.started != record.started for process in group):
        return False
    return any(process.started >= record.started for process in group)


def _signal(records: Iterable[Record], number: signal.Signals) -> None:
    for record in records:
        try:
            os.killpg(record.pgid, number)
        except (ProcessLookupError, PermissionError):
            continue  # gone meanwhile; macOS answers a group of zombies with "not permitted"

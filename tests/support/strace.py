"""System calls of a daemon, in order: what was synced to disk before which answer was written."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

SYNCS = ("fsync", "fdatasync")
READS = ("recvfrom", "recvmsg", "read")
WRITES = ("sendto", "sendmsg", "write", "writev")
_LINE = re.compile(r"^\d+ +(?:<\.\.\. )?(\w+)(.*)$")


CHANGES = ("pwrite64", "write", "ftruncate", "unlink", "unlinkat", "rename")
MOST = 70_000
"""Bytes of a write that a trace of contents shows; a page has up to 65,536."""


def traced(output: Path) -> tuple[str, ...]:
    """What to put before a command to have its system calls in `output`."""
    return (*_strace((*SYNCS, *READS, *WRITES), 256), "-o", str(output))


def contents(output: Path) -> tuple[str, ...]:
    """As `traced`, for `Change.read`: what was written to files is in it, whole and in hex."""
    calls = (*SYNCS, *CHANGES, "sendto", "sendmsg", "writev")
    return (*_strace(calls, MOST), "-xx", "-o", str(output))


def _strace(calls: tuple[str, ...], most: int) -> tuple[str, ...]:
    strace = shutil.which("strace")
    assert strace is not None, "strace is missing: install it (apt-get install strace)"
    return (strace, "-D", "-f", "-y", "-qq", "-s", str(most), "-e", f"trace={','.join(calls)}")


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


_CALL = re.compile(r"^(\d+) +(\w+)\((.*)$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>")
_HEX = re.compile(r"\\x([0-9a-f]{2})")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ANSWER = b"HTTP/1.1 200".hex()


@dataclass(frozen=True)
class Change:
    """One step of a trace of contents, where it counts.

    A write counts where it began, a sync where it returned, an answer where its first byte left.
    """

    kind: Literal["write", "truncate", "sync", "unlink", "answer"]
    path: str = ""
    at: int = 0
    data: bytes = b""

    @classmethod
    def read(cls, output: Path, stem: str) -> Iterator[Self]:
        """The steps that touch files whose names begin with `stem`, and answers of HTTP 200.

        Raises:
            AssertionError: a call is among them that this does not know how to do again.
        """
        begun: dict[str, str] = {}
        with output.open(errors="replace") as lines:
            for line in lines:
                if match := _RESUMED.match(line):
                    if match[2] in SYNCS and (path := begun.pop(match[1], "")):
                        yield cls("sync", path)
                elif match := _CALL.match(line):
                    if match[2] in SYNCS and line.rstrip().endswith("<unfinished ...>"):
                        begun[match[1]] = _file(match[3], stem)
                    elif (step := cls._of(match[2], match[3], stem)) is not None:
                        yield step

    @classmethod
    def _of(cls, name: str, rest: str, stem: str) -> Self | None:
        if _ANSWER in rest[:400].replace("\\x", ""):
            return cls("answer")
        path = _file(rest, stem)
        if not path or path.endswith("-shm"):
            return None
        if name in SYNCS:
            return cls("sync", path)
        if name == "pwrite64":
            data, place = _QUOTED.search(rest), re.search(r'", \d+, (\d+)', rest)
            assert data is not None, rest[:200]
            assert place is not None, rest[-200:]
            return cls("write", path, int(place[1]), _bytes(data[1]))
        if name == "ftruncate":
            size = re.search(r">, (\d+)", rest)
            assert size is not None, rest[:200]
            return cls("truncate", path, int(size[1]))
        assert name in {"unlink", "unlinkat"}, f"{name} on {path} cannot be done again"
        return cls("unlink", path)


def _file(rest: str, stem: str) -> str:
    """The path in the arguments, if its name begins with `stem`. A seal is no part of a database."""
    shown = re.match(r"\d+<([^>]*)>|(?:AT_FDCWD[^,]*, )?\"([^\"]*)\"", rest)
    path = _bytes(shown[1] or shown[2] or "").decode(errors="replace") if shown else ""
    ours = Path(path).name.startswith(stem) and ".seal" not in path
    return path if ours else ""


def _bytes(text: str) -> bytes:
    return bytes.fromhex(_HEX.sub(r"\1", text)) if text.startswith("\\x") else text.encode()

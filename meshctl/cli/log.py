"""Reading the daemon's log file, which works without a daemon."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

_PAUSE = 0.2


def read(
    path: Path, last: int, *, follow: bool, sleep: Callable[[float], None] = time.sleep
) -> Iterator[str]:
    """The last lines of a file; with `follow` also those to come, after a rotation too."""
    file = _open(path)
    try:
        yield from map(_text, deque(file or (), maxlen=last))
        while follow:
            line = _line(file) if file else None
            if line is not None:
                yield _text(line)
            else:
                sleep(_PAUSE)
                file = _current(path, file)
    finally:
        if file is not None:
            file.close()


def _line(file: BinaryIO) -> bytes | None:
    """The next line, once it is whole."""
    start = file.tell()
    line = file.readline()
    if line.endswith(b"\n"):
        return line
    file.seek(start)
    return None


def _current(path: Path, file: BinaryIO | None) -> BinaryIO | None:
    """The file that the path names now; from its beginning if it is another one or was emptied."""
    if file is None:
        return _open(path)
    try:
        there = path.stat()
    except FileNotFoundError:
        return file
    if os.path.samestat(there, os.fstat(file.fileno())) and there.st_size >= file.tell():
        return file
    file.close()
    return _open(path)


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _text(line: bytes) -> str:
    return line.rstrip(b"\r\n").decode("utf-8", "backslashreplace")

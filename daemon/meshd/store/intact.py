"""Whether an SQLite file is as its last daemon left it. What SQLite itself checks is not here.

SQLite notices a page that makes no sense, never a letter that changed inside a value. So a file
that is closed in order gets a seal beside it, the digest of its content, and is compared with it
when it is opened next. A file of a daemon that was killed has no seal; its write-ahead log is
read as SQLite will read it, and what SQLite would silently leave out is found.
"""

import hashlib
import os
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from meshd.store.db import StoreDamaged

SEALED_UP_TO = 256 * 1024 * 1024
"""Bytes; the digest of a larger file would be felt at each start and stop."""
PATIENCE = 2.0
"""Seconds that the reading of a log may take at a start."""

_HEADER, _FRAME = 32, 24


def check(path: Path, *, log: bool) -> bool:
    """Compare a file that nobody has open with its seal, which ends with that; whether it had one.

    `log` says whether each transaction in the write-ahead log was synced before the next began.

    Raises:
        StoreDamaged: the content is not what was sealed, or the log lacks what was in it.
        OSError: a file cannot be read, or the seal cannot be removed.
    """
    seal = seal_of(path)
    try:
        sealed = seal.read_text().split()
    except (FileNotFoundError, UnicodeDecodeError):
        sealed = []
    if log:
        _check_log(path.with_name(f"{path.name}-wal"))
    now = path.stat() if path.exists() else None
    known = now is not None and len(sealed) == 3 and sealed[0] == str(now.st_ino)
    if known and sealed[1:] != _content(path):
        raise StoreDamaged(f"{path}: its content changed while no daemon ran")
    if sealed:
        forget(path)
    return known


def put_seal(path: Path) -> None:
    """Seal a file that was just closed. Left out if a log remains or the file is large."""
    wal = path.with_name(f"{path.name}-wal")
    if (wal.exists() and wal.stat().st_size) or path.stat().st_size > SEALED_UP_TO:
        return
    seal = seal_of(path)
    draft = seal.with_name(f"{seal.name}.new")
    with open(draft, "w", opener=_private) as file:
        file.write(" ".join([str(path.stat().st_ino), *_content(path)]) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(seal)


def forget(path: Path) -> None:
    """Remove the seal, for good: whoever writes to the file next owes nothing to it.

    A file that another took the place of (another inode) has no seal either.
    """
    seal_of(path).unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def seal_of(path: Path) -> Path:
    """Where the seal of a file is."""
    return path.with_name(f"{path.name}.seal")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _content(path: Path) -> list[str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "blake2b")
        return [str(file.tell()), digest.hexdigest()]


class _Sum(NamedTuple):
    """The running checksum of a log."""

    a: int
    b: int


@dataclass(frozen=True, slots=True)
class _Frame:
    """One page in a log: what it says of itself, and the bytes that its checksum covers."""

    commits: bool
    salts: bytes
    stored: _Sum
    covered: bytes


def _check_log(path: Path) -> None:
    """Find damage in a log whose transactions were synced one by one.

    SQLite reads a log up to the first frame that is not valid, since that is where a power cut
    ends it. But the index of the log tells of a transaction only after its sync; and a valid frame
    of a later transaction proves that an earlier one was whole once. Where a power cut took the
    index too, the last transaction proves nothing.

    Raises:
        StoreDamaged: acknowledged transactions would be left out.

    Source: https://www.sqlite.org/fileformat2.html#walformat and walformat.html, section 2
    """
    raw = path.read_bytes() if path.exists() else b""
    if len(raw) < _HEADER + _FRAME:
        return
    magic, _, page = struct.unpack_from(">3I", raw)
    order = ">" if magic & 1 else "<"
    before = _Sum(*struct.unpack_from(">2I", raw, 24))
    if magic & ~1 != 0x377F0682 or _summed(raw[:24], _Sum(0, 0), order) != before:
        raise StoreDamaged(f"{path}: the head of the write-ahead log is damaged")
    deadline = time.monotonic() + PATIENCE
    known = _indexed(path, raw[16:24])
    broken = committed = False
    number = 0
    for number, frame in enumerate(_frames(raw, 65536 if page == 1 else page), 1):
        ours = frame.salts == raw[16:24]
        follows = _summed(frame.covered, before, order) == frame.stored
        late = ours and follows and broken and committed
        if late or (number <= known and not (ours and follows)):
            raise StoreDamaged(f"{path}: a transaction in the write-ahead log is damaged")
        broken = broken or not (ours and follows)
        # A frame of an earlier round is neither ours nor follows, and ends nothing here.
        committed = broken and (committed or (frame.commits and (ours or follows)))
        before = frame.stored
        if time.monotonic() > deadline:
            return
    if number < known:
        raise StoreDamaged(f"{path}: the write-ahead log is cut off")


def _indexed(path: Path, salts: bytes) -> int:
    """How many frames of the log with these salts the index left by a killed process has."""
    index = path.with_name(path.name.removesuffix("-wal") + "-shm")
    raw = index.read_bytes()[:96] if index.exists() else b""
    order = "<" if sys.byteorder == "little" else ">"
    if len(raw) < 96 or raw[:48] != raw[48:] or raw[32:40] != salts:
        return 0
    if _summed(raw[:40], _Sum(0, 0), order) != struct.unpack_from("=2I", raw, 40):
        return 0
    (known,) = struct.unpack_from("=I", raw, 16)
    return int(known)


def _frames(raw: bytes, page: int) -> Iterator[_Frame]:
    for at in range(_HEADER, len(raw) - _FRAME - page + 1, _FRAME + page):
        commits, *stored = struct.unpack_from(">I8x2I", raw, at + 4)
        content = raw[at + _FRAME : at + _FRAME + page]
        yield _Frame(
            bool(commits), raw[at + 8 : at + 16], _Sum(*stored), raw[at : at + 8] + content
        )


def _summed(data: bytes, start: _Sum, order: str) -> _Sum:
    a, b = start
    for one, other in struct.iter_unpack(f"{order}2I", data):
        a = (a + one + b) & 0xFFFFFFFF
        b = (b + other + a) & 0xFFFFFFFF
    return _Sum(a, b)

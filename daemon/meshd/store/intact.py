"""Whether an SQLite file is as its last daemon left it. What SQLite itself checks is not here.

SQLite notices a page that makes no sense, never a letter that changed inside a value. But it writes
to the file at checkpoints alone, so between two of them a seal can stand beside it: the checksums
of its blocks. Blocks in which one bit differs are damage; other differences are another program's
writing, which is told and no reason to stop. What was written since a checkpoint is in the
write-ahead log, whose frames have checksums; the log is read as SQLite will read it, and what
SQLite would silently leave out is found.
"""

import logging
import os
import struct
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path
from typing import NamedTuple

from meshd.store.db import StoreDamaged

_LOG = logging.getLogger(__name__)

BLOCK = 4096
SEALED_UP_TO = 256 * 1024 * 1024
"""Bytes of a file that is sealed when it is closed; the digest of more would be felt."""
SEALED_IN_USE_UP_TO = 16 * 1024 * 1024
"""Bytes of a file that is sealed after each checkpoint, for which writers wait."""
PATIENCE = 2.0
"""Seconds that the reading of a log may take at a start."""

CLOSED, IN_USE = "closed", "in-use"
_HEADER, _FRAME = 32, 24


def check(path: Path, *, log: bool) -> bool:
    """Compare a file that nobody has open with its seal; whether it had one that counts.

    `log` says whether each transaction in the write-ahead log was synced before the next began.

    Raises:
        StoreDamaged: the content is not what was sealed, or the log lacks what was in it.
        OSError: a file cannot be read.
    """
    wal = path.with_name(f"{path.name}-wal")
    if log:
        _check_log(wal)
    try:
        state, inode, *content = seal_of(path).read_text().split()
        size, sums = content
        same_file = inode == str(path.stat().st_ino)
    except (FileNotFoundError, UnicodeDecodeError, ValueError):
        return False
    # A log that is gone although nobody closed the file: another program moved it into the file.
    if not same_file or (state == IN_USE and not wal.exists()):
        return False
    with path.open("rb", buffering=0) as file:
        now = _content(file)
    if content == now:
        return True
    if size == now[0] and _has_flipped(sums, now[1]):
        raise StoreDamaged(
            f"{path}: a bit of it changed while no daemon ran; if a program of yours wrote to it,"
            f" remove {seal_of(path).name}"
        )
    _LOG.warning("%s was written to by another program while no daemon ran", path)
    return False


def seal_closed(path: Path) -> None:
    """Seal a file that nobody in this process has open. A large one gets none."""
    with path.open("rb", buffering=0) as file:
        _seal(path, CLOSED, file, SEALED_UP_TO)


def seal_in_use(path: Path, file: FileIO) -> None:
    """Seal a file whose log is empty. A large one gets none.

    `file` is its content, and stays open for as long as SQLite has the file open: to close any
    descriptor of a file drops every lock that the process has on it (POSIX), SQLite's too.

    Source: https://www.sqlite.org/howtocorrupt.html, section 2.2
    """
    _seal(path, IN_USE, file, SEALED_IN_USE_UP_TO)


def _seal(path: Path, state: str, file: FileIO, most: int) -> None:
    wal = path.with_name(f"{path.name}-wal")
    if (wal.exists() and wal.stat().st_size) or path.stat().st_size > most:
        return
    seal = seal_of(path)
    draft = seal.with_name(f"{seal.name}.new")
    with open(draft, "w", opener=_private) as written:
        os.fchmod(written.fileno(), 0o600)  # whatever the umask
        written.write(" ".join([state, str(path.stat().st_ino), *_content(file)]) + "\n")
        written.flush()
        os.fsync(written.fileno())
    draft.replace(seal)


def forget(path: Path) -> None:
    """Remove the seal, for good, before the file is written to.

    Where another file took its place (another inode), the seal does not count either.
    """
    try:
        seal_of(path).unlink()
    except FileNotFoundError:
        return
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


def _content(file: FileIO) -> list[str]:
    """The size, and the CRC-32 of every block, eight digits each."""
    file.seek(0)
    blocks = iter(lambda: file.read(BLOCK), b"")
    sums = [f"{zlib.crc32(block.ljust(BLOCK, b'0')):08x}" for block in blocks]
    return [str(file.tell()), "".join(sums)]


def _has_flipped(before: str, now: str) -> bool:
    """Whether one bit differs in most of the blocks that differ at all.

    A CRC is linear: what a bit changes in it depends on nothing but the bit's place. What a program
    wrote may look so in a block, hardly in most of them.
    """
    both = range(0, min(len(before), len(now)), 8)
    try:
        changes = [int(before[at : at + 8], 16) ^ int(now[at : at + 8], 16) for at in both]
    except ValueError:  # the seal itself was damaged
        return False
    differ, single = [change for change in changes if change], _single_bits()
    return 2 * sum(change in single for change in differ) > len(differ)


def _single_bits() -> frozenset[int]:
    """What each bit of a block changes in its CRC-32."""
    none = zlib.crc32(bytes(BLOCK))
    block, found = bytearray(BLOCK), set()
    for at in range(BLOCK):
        for bit in range(8):
            block[at] = 1 << bit
            found.add(zlib.crc32(block) ^ none)
        block[at] = 0
    return frozenset(found)


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
    if not path.exists() or path.stat().st_size < _HEADER + _FRAME:
        return
    with path.open("rb") as log:
        _check_frames(path, log)


def _check_frames(path: Path, log: BufferedReader) -> None:
    """The same, frame by frame: a log that no checkpoint emptied may be large."""
    head = log.read(_HEADER)
    magic, _, page = struct.unpack_from(">3I", head)
    order = ">" if magic & 1 else "<"
    before = _Sum(*struct.unpack_from(">2I", head, 24))
    if magic & ~1 != 0x377F0682 or _summed(head[:24], _Sum(0, 0), order) != before:
        raise StoreDamaged(f"{path}: the head of the write-ahead log is damaged")
    deadline = time.monotonic() + PATIENCE
    known = _indexed(path, head[16:24])
    broken = committed = False
    number = 0
    for number, frame in enumerate(_frames(log, 65536 if page == 1 else page), 1):
        ours = frame.salts == head[16:24]
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
    raw = b""
    if index.exists():
        with index.open("rb") as file:
            raw = file.read(96)
    order = "<" if sys.byteorder == "little" else ">"
    if len(raw) < 96 or raw[:48] != raw[48:] or raw[32:40] != salts:
        return 0
    if _summed(raw[:40], _Sum(0, 0), order) != struct.unpack_from("=2I", raw, 40):
        return 0
    (known,) = struct.unpack_from("=I", raw, 16)
    return int(known)


def _frames(log: BufferedReader, page: int) -> Iterator[_Frame]:
    while len(raw := log.read(_FRAME + page)) == _FRAME + page:
        commits, *stored = struct.unpack_from(">I8x2I", raw, 4)
        yield _Frame(bool(commits), raw[8:16], _Sum(*stored), raw[:8] + raw[_FRAME:])


def _summed(data: bytes, start: _Sum, order: str) -> _Sum:
    a, b = start
    for one, other in struct.iter_unpack(f"{order}2I", data):
        a = (a + one + b) & 0xFFFFFFFF
        b = (b + other + a) & 0xFFFFFFFF
    return _Sum(a, b)

"""The master key: what it is, how it is written down, and the file that keeps it.

Where else it may come from is in `sources`; every source reads the same text form, `decode`. What
the key protects is in `box`.
"""

import base64
import contextlib
import errno
import fcntl
import os
import re
import secrets
import shlex
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from meshd.vault.errors import MasterKeyError
from meshd.vault.key import KEY_SIZE, Key

__all__ = ["MasterKey", "MasterKeyError", "decode", "encode", "load", "load_or_create"]

_PREFIX = b"meshctl-master-key-1:"
_TEXT = re.compile(re.escape(_PREFIX) + rb"([A-Za-z0-9+/]{43}=)\n?")
_READ_LIMIT = 256


@final
@dataclass(frozen=True, slots=True)
class MasterKey:
    """The one key above all data keys. It seals nothing itself: each use has a key derived."""

    key: Key
    id: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", self.key.identify(b"meshctl master key"))

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one named purpose (HKDF-SHA256, RFC 5869), always the same ones."""
        return self._expand(b"meshctl purpose:" + purpose.encode())

    def wrapping_key(self) -> Key:
        """The key that data keys are wrapped with; no purpose of `derive` can name it."""
        return Key(self._expand(b"meshctl wrapping"))

    def _expand(self, info: bytes) -> bytes:
        return HKDF(SHA256(), KEY_SIZE, salt=None, info=info).derive(self.key.reveal())


def encode(master: MasterKey) -> bytes:
    """The text form: one line with a prefix that secret scanners can find."""
    return _PREFIX + base64.b64encode(master.key.reveal()) + b"\n"


def decode(text: bytes) -> MasterKey | None:
    """The key in a text form, or None when this is not one; the newline may be missing."""
    found = _TEXT.fullmatch(text)
    return MasterKey(Key(base64.b64decode(found[1]))) if found else None


def load_or_create(path: Path) -> MasterKey:
    """The key in the file, which is made with its directory when there is none.

    An existing file is never written to. It has to be a regular file of our own, closed to group
    and others, in a directory of our own that is closed too.

    Raises:
        MasterKeyError: the file or its directory is not as it has to be.
    """
    with _explained(path), _private_directory(path.parent) as directory:
        key = _load(path, directory)
        return key if key is not None else _create(path, directory)


def load(path: Path) -> MasterKey | None:
    """The key in the file, or None when there is no file; nothing is made.

    Raises:
        MasterKeyError: the file or its directory is not as it has to be.
    """
    if not os.path.lexists(path):
        return None
    with _explained(path), _private_directory(path.parent) as directory:
        return _load(path, directory)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """What the system refuses, as a sentence."""
    try:
        yield
    except OSError as failure:
        raise MasterKeyError(
            f"The master key {path} cannot be read or made ({failure.strerror}): "
            "check the directories on its path, their owner and the free space."
        ) from None


@contextlib.contextmanager
def _private_directory(path: Path) -> Iterator[int]:
    """A descriptor of the directory, so that what was checked is what is used."""
    _make_directories(path)
    try:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as failure:
        if failure.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise MasterKeyError(
                f"{path} is not a directory of its own: put a real directory in place of the "
                "link or file."
            ) from None
        raise
    try:
        _demand_private(path, os.fstat(directory), mode="700")
        yield directory
    finally:
        os.close(directory)


def _make_directories(path: Path) -> None:
    """Like `mkdir -p`, but what is made is closed to group and others, and on disk at once."""
    if not os.path.lexists(path):
        _make_directories(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _sync(parent)
        finally:
            os.close(parent)


def _load(path: Path, directory: int) -> MasterKey | None:
    """The key in the file, or None when there is no file."""
    # Without O_NONBLOCK the opening of a named pipe would wait for a writer for ever.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path.name, flags, dir_fd=directory)
    except FileNotFoundError:
        return None
    except OSError as failure:
        if failure.errno == errno.ELOOP:
            raise MasterKeyError(
                f"{path} is a symbolic link: put the key file itself in its place."
            ) from None
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise MasterKeyError(f"{path} is not a regular file: put the key file in its place.")
        _demand_private(path, status, mode="600")
        key = decode(os.read(descriptor, _READ_LIMIT))
    finally:
        os.close(descriptor)
    if key is None:
        raise MasterKeyError(
            f"{path} holds no master key: restore the file from your copy of the key. "
            "Without it the stored secrets cannot be read."
        )
    return key


def _create(path: Path, directory: int) -> MasterKey:
    """Make a key and put its file in place whole; whoever was first keeps the place."""
    master = MasterKey(Key.random())
    draft = f".{path.name}.{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o600, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(encode(master))
            file.flush()
            _sync(descriptor)
        # A link, unlike a rename, refuses to replace a file; a crash leaves no half-written key.
        os.link(draft, path.name, src_dir_fd=directory, dst_dir_fd=directory)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft, dir_fd=directory)
        _sync(directory)
    key = _load(path, directory)
    if key is None:
        raise MasterKeyError(f"{path} was removed while it was made: start again.")
    return key


def _demand_private(path: Path, status: os.stat_result, *, mode: str) -> None:
    quoted = shlex.quote(str(path))
    if status.st_uid != os.geteuid():
        raise MasterKeyError(
            f"{path} belongs to uid {status.st_uid}, not to uid {os.geteuid()} that runs this: "
            "start the daemon as its owner, or give it the file and directory with chown."
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise MasterKeyError(
            f"{path} is open to other users (mode {stat.S_IMODE(status.st_mode):o}): run "
            f"chmod {mode} {quoted}, and rotate the key if others may have read it."
        )


def _sync(descriptor: int) -> None:
    """On disk when this returns."""
    os.fsync(descriptor)
    if sys.platform == "darwin":
        # There fsync ends in the drive's cache; not every file system knows more.
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)

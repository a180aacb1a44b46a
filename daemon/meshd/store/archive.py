"""The container of a backup: a tar with `manifest.json`, both databases and `SHA256SUMS`.

Ordinary tools read it: `tar -xf FILE && sha256sum -c SHA256SUMS`, then `sqlite3 main.db`.
"""

import hashlib
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import msgspec

from meshd.store.db import StoreError
from meshd.store.reading import CALLS_FILE, MAIN_FILE
from meshd.wire.db import Manifest, Member

FORMAT, VERSION = "meshctl-backup", 1
MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
NAMES = (MANIFEST, MAIN_FILE, CALLS_FILE, SUMS)
"""What a backup holds, in this order."""
_SMALL = 4 * 1024 * 1024
"""Bytes that the manifest and the sums may have."""


class NotABackup(StoreError):
    """The file is no backup, or not as it was written."""


def member(path: Path) -> Member:
    """How a file is described in the manifest."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Member(name=path.name, bytes=file.tell(), sha256=digest)


def pack(folder: Path, manifest: Manifest, path: Path) -> int:
    """Write a backup of the files in `folder` to `path`, synced and for the owner alone; its size.

    Raises:
        OSError: it cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    (folder / MANIFEST).write_bytes(text)
    known = [member(folder / MANIFEST), *manifest.members]
    (folder / SUMS).write_text("".join(f"{one.sha256}  {one.name}\n" for one in known))
    with (
        open(path, "xb", opener=_private) as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name in NAMES:
            archive.add(folder / name, name, filter=_plain)
    return sync(path)


def unpack(path: Path, folder: Path) -> Manifest:
    """Take a backup apart into `folder`, every byte compared with its checksum.

    Raises:
        NotABackup: it is none, of a later format, cut off or changed.
        OSError: it cannot be read, or `folder` not be written to.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            found = archive.getmembers()
            if [one.name for one in found] != list(NAMES) or not all(o.isreg() for o in found):
                raise NotABackup(f"it does not hold {', '.join(NAMES)}")
            sums = _sums(_small(archive, found[-1]))
            digests = {one.name: _copy(archive, one, folder) for one in found[:-1]}
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise NotABackup(f"it cannot be taken apart: {type(error).__name__}") from None
    wrong = [name for name, digest in digests.items() if sums.get(name) != digest]
    if wrong:
        raise NotABackup(f"the checksum of {', '.join(wrong)} is not the one that was written")
    manifest = _manifest((folder / MANIFEST).read_bytes())
    if any(one != member(folder / one.name) for one in manifest.members):
        raise NotABackup("the manifest describes other files")
    return manifest


def sync(path: Path) -> int:
    """Bring a file to the disk; its size."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size


def sync_folder(path: Path) -> None:
    """Bring the names in a folder to the disk."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without who made it and where."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o600
    return info


def _small(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    if info.size > _SMALL:
        raise NotABackup(f"{info.name} is too large")
    with _opened(archive, info) as file:
        return file.read()


def _copy(archive: tarfile.TarFile, info: tarfile.TarInfo, folder: Path) -> str:
    """Write one member into the folder; its digest."""
    digest = hashlib.sha256()
    with _opened(archive, info) as file, open(folder / info.name, "xb", opener=_private) as copy:
        while piece := file.read(1024 * 1024):
            digest.update(piece)
            copy.write(piece)
        copy.flush()
        os.fsync(copy.fileno())
    return digest.hexdigest()


def _opened(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(info)
    if file is None:
        raise NotABackup(f"{info.name} is no file")
    return file


def _sums(text: bytes) -> dict[str, str]:
    lines: Sequence[list[str]] = [line.split("  ", 1) for line in text.decode().splitlines()]
    return {name: digest for digest, name in lines}


def _manifest(text: bytes) -> Manifest:
    try:
        head = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        form, version = (bytes(head.get(name, b"")) for name in ("format", "version"))
        if form != msgspec.json.encode(FORMAT):
            raise NotABackup("its manifest is of another format")
        if version != msgspec.json.encode(VERSION):
            raise NotABackup("a later release of meshctl wrote it")
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.DecodeError:
        raise NotABackup("its manifest cannot be read") from None
    if sorted(one.name for one in manifest.members) != sorted((MAIN_FILE, CALLS_FILE)):
        raise NotABackup("its manifest names other files")
    return manifest

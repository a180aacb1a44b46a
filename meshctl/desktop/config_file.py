"""A client's configuration file as bytes on disk: reading it whole, replacing it at once."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from meshctl.desktop.errors import WiringError

LIMIT = 32 * 1024 * 1024
"""The largest file that is read, in bytes; Claude Code's grows to a few megabytes."""


def read_text(path: Path) -> str | None:
    """Return the text with its line endings and BOM, or None where there is no file.

    Raises `WiringError` for what cannot be read, is not UTF-8, or is larger than `LIMIT`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise WiringError(f"{path} cannot be read: {error.strerror}", f"ls -ld {path}") from error
    if len(content) > LIMIT:
        raise WiringError(f"{path} is larger than {LIMIT} bytes", "look at what fills it")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise WiringError(f"{path} is not UTF-8", "save it as UTF-8") from error


def replace_text(path: Path, text: str, *, expected: str | None) -> None:
    """Put a new text in the place of `expected` (None: no file), all or nothing, on disk.

    Mode and owner stay; a new file gets 0600. `path` must not be a link: the link itself would be
    replaced. Raises `WiringError` when the file changed meanwhile or cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    try:
        before = path.stat() if expected is not None else None
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if before is not None:
                _keep_owner(descriptor, before)
            file.write(text.encode())
            file.flush()
            os.fsync(descriptor)
        must_still_be(path, expected)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise WiringError(
            f"{path} cannot be written: {error.strerror}", f"ls -ld {path.parent} {path}"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # after the rename there is none
            temporary.unlink()


def remove_file(path: Path, *, expected: str) -> None:
    """Remove a file whose text is still `expected`; raises `WiringError`."""
    must_still_be(path, expected)
    try:
        path.unlink()
        sync_folder(path.parent)
    except OSError as error:
        raise WiringError(
            f"{path} cannot be removed: {error.strerror}", f"ls -ld {path.parent}"
        ) from error


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, for the owner alone."""
    try:
        for one in (*reversed(folder.parents), folder):
            one.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise WiringError(
            f"{folder} cannot be made: {error.strerror}", f"ls -ld {folder.parent}"
        ) from error


def must_still_be(path: Path, expected: str | None) -> None:
    """Raise `WiringError` unless the file's text is what was read before."""
    if read_text(path) != expected:
        raise WiringError(
            f"{path} was changed by another program at the same moment", "run the command again"
        )


def sync_folder(folder: Path) -> None:
    """Make a rename or a removal in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _keep_owner(descriptor: int, before: os.stat_result) -> None:
    own = os.fstat(descriptor)
    if (own.st_uid, own.st_gid) != (before.st_uid, before.st_gid):
        os.fchown(descriptor, before.st_uid, before.st_gid)
    # After the owner: changing it clears set-id bits.
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))

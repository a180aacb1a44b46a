"""Writing a backup: everything in one file, beside a running daemon or by a process of its own."""

import asyncio
import json
import shlex
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from meshd.core.clock import Clock, iso
from meshd.core.config import Config
from meshd.core.database_url import SqliteFile
from meshd.services.db_facts import facts
from meshd.store import archive, whole
from meshd.store.db import Step
from meshd.store.opening import Databases, explained
from meshd.store.reading import CALLS_FILE, MAIN_FILE, Reading
from meshd.wire.db import BackedUp, BackupAsked, Manifest
from meshd.wire.errors import BadRequest, Unavailable, Unconfirmed
from meshd.wire.version import VERSION


async def make(
    config: Config, asked: BackupAsked, clock: Clock, databases: Databases | None = None
) -> BackedUp:
    """Write the backup. Without `databases` the caller holds the lock of the home.

    Raises:
        BadRequest, Unconfirmed, Unavailable: as `backing_up.Backups.make`.
    """
    path = Path(asked.file)
    await asyncio.to_thread(_check, path, config, replace=asked.replace)
    with explained(config):
        async with _draft(path) as draft, whole.read(config, databases) as reading:
            at = iso(clock.now())
            await whole.copy(reading, draft / "copy")
            manifest = await _described(draft / "copy", reading, at)
            size = await asyncio.to_thread(_publish, draft, manifest, path)
    return BackedUp(
        file=str(path), at=at, bytes=size, engine=manifest.engine,
        sealed_with=manifest.sealed_with, tables=manifest.tables,
    )  # fmt: skip


def _check(path: Path, config: Config, *, replace: bool) -> None:
    about = {"file": str(path)}
    if not path.is_absolute() or "\0" in str(path):
        raise BadRequest("a backup's file is named by its whole path", facts=about)
    if set(path.resolve().parents) & _ours(config) or path.resolve() in _files(config):
        raise BadRequest("the daemon keeps its own files there", facts=about)
    if path.exists() and not path.is_file():
        raise BadRequest("a backup is a file, and this is something else", facts=about)
    if path.exists() and not replace:
        raise Unconfirmed(
            f"{path} is there already, and would be replaced",
            next=f"meshctl db backup {shlex.quote(str(path))} --yes",
        )


def _ours(config: Config) -> set[Path]:
    """Folders that no backup belongs into."""
    home = config.home
    found = {config.data, config.master_key.parent, config.log.parent, home / "run"}
    return {folder.resolve() for folder in found}


def _files(config: Config) -> set[Path]:
    """The files of the home itself, and of a database that lies elsewhere."""
    found = {config.lock, config.socket, config.config_path, config.auth_config_path}
    if isinstance(config.database, SqliteFile):
        for file in whole.files(config.database):
            found |= {file, *(file.with_name(file.name + end) for end in ("-wal", "-shm", ".seal"))}
    return {file.resolve() for file in found}


def remembered(done: BackedUp) -> Step:
    """What `db status` will tell of it."""
    about = {"file": done.file, "at": done.at, "bytes": done.bytes}
    return Step("meta.put", {"name": "last_backup", "value": json.dumps(about)})


@asynccontextmanager
async def _draft(path: Path) -> AsyncIterator[Path]:
    """A folder beside the file, so that what is complete only needs its name.

    Raises:
        BadRequest: nothing can be written there.
        Unavailable: writing failed.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}-", dir=path.parent))
    except OSError as error:
        facts = {"file": str(path), "why": error.strerror or type(error).__name__}
        raise BadRequest("nothing can be written there", facts=facts) from None
    try:
        yield folder
    except OSError as error:
        facts = {"file": str(path), "why": error.strerror or type(error).__name__}
        raise Unavailable("the backup cannot be written", facts=facts) from None
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _described(copy: Path, reading: Reading, at: str) -> Manifest:
    """The manifest: what the copy holds, told by the copy itself."""
    async with whole.read_copy(copy) as copied:
        found = await facts(copied)
    files = [copy / name for name in (MAIN_FILE, CALLS_FILE)]
    return Manifest(
        format=archive.FORMAT, version=archive.VERSION, made_at=at, made_by=f"meshctl {VERSION}",
        engine=reading.dialect, installation=found.installation, sealed_with=found.sealed_with,
        migrations=[str(one) for one in found.applied], tables=found.tables,
        members=[await asyncio.to_thread(archive.member, file) for file in files],
    )  # fmt: skip


def _publish(draft: Path, manifest: Manifest, path: Path) -> int:
    size = archive.pack(draft / "copy", manifest, draft / "backup")
    (draft / "backup").replace(path)
    archive.sync_folder(path.parent)
    return size

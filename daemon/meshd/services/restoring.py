"""Putting a backup in place, and what was there aside. The caller holds the lock of the home."""

import asyncio
import shlex
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from meshd.core.clock import Clock, iso
from meshd.core.config import Config
from meshd.core.database_url import PostgresServer, SqliteFile
from meshd.services import backups
from meshd.services.db_facts import facts, key_here
from meshd.store import archive, whole
from meshd.store.db import StoreError
from meshd.store.opening import FOLDERS, explained
from meshd.store.reading import pending
from meshd.store.sqlite_swap import swap
from meshd.store.tally import tally
from meshd.wire.db import BackupAsked, Manifest, Restored
from meshd.wire.errors import BadRequest, Conflict, NotFound, Unavailable, Unconfirmed


async def restore(config: Config, file: Path, clock: Clock, *, agreed: bool) -> Restored:
    """Check a backup wholly, then put it in place of the data that the settings name.

    What is there is kept: files in a folder beside them, a server's rows in a backup in the home.
    A later release's backup is refused; an earlier one's is migrated by the next start.

    Raises:
        NotFound, BadRequest: there is no such file, or it is no backup as it was written.
        Unconfirmed: not `agreed`, and data would be replaced, or needs another key than is here.
        Conflict: daemons elsewhere use the server's database.
        Unavailable: the database cannot be used. Nothing changed in all these cases.
    """
    async with unpacked(config, file) as (folder, manifest):
        missing = await _checked(config, folder, manifest)
        here = await key_here(config)
        warning = _about_key(config, manifest, here)
        if not agreed:
            await _ask(config, file, here if warning else None, manifest)
        with explained(config):
            kept = await _place(config, folder, clock)
    return Restored(
        file=str(file), at=manifest.made_at, where=where(config),
        installation=manifest.installation, sealed_with=manifest.sealed_with,
        tables=manifest.tables, key_here=here, kept=str(kept) if kept else None,
        pending=[] if isinstance(config.database, PostgresServer) else missing, warning=warning,
    )  # fmt: skip


def where(config: Config) -> str:
    """The place of the data for people, without a password."""
    if isinstance(config.database, SqliteFile):
        return f"file:{config.database.path}"
    return config.text("DATABASE_URL")


@asynccontextmanager
async def unpacked(config: Config, file: Path) -> AsyncIterator[tuple[Path, Manifest]]:
    """A backup, taken apart in a folder that lies where the data does.

    Raises:
        NotFound: there is no such file.
        BadRequest: it is no backup as it was written.
    """
    with _room(config) as folder:
        try:
            manifest = await asyncio.to_thread(archive.unpack, file, Path(folder))
        except FileNotFoundError:
            raise NotFound(f"there is no file {file}") from None
        except archive.NotABackup as error:
            raise BadRequest(
                f"{file} is no backup as it was written; nothing was changed",
                facts={"why": str(error)},
            ) from None
        except OSError as error:
            why = {"file": str(file), "why": error.strerror or type(error).__name__}
            raise Unavailable("the backup cannot be taken apart", facts=why) from None
        yield Path(folder), manifest


def _room(config: Config) -> tempfile.TemporaryDirectory[str]:
    """A folder on the file system of the data, so that a file only needs another name there."""
    place = config.database
    parent = place.path.parent if isinstance(place, SqliteFile) else config.home
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix=".restoring-", dir=parent, ignore_cleanup_errors=True)


async def _checked(config: Config, folder: Path, manifest: Manifest) -> list[str]:
    """Look into both databases; the migrations that they lack.

    Raises:
        BadRequest: they are damaged, or not what the manifest says.
        Unavailable: a later release made them.
    """
    with explained(config):
        async with whole.read_copy(folder) as copy:
            missing = await pending(copy, FOLDERS)
            flaw = await copy.flaw()
            if flaw is None and (await facts(copy)).tables != manifest.tables:
                flaw = "the tables hold other numbers of rows than the manifest says"
    if flaw is not None:
        raise BadRequest("the backup is damaged; nothing was changed", facts={"why": flaw})
    return missing


def _about_key(config: Config, manifest: Manifest, here: str | None) -> str | None:
    """What is wrong about the master key, if anything is."""
    needed = ", ".join(manifest.sealed_with)
    if not manifest.sealed_with or manifest.sealed_with == [here]:
        return None
    if here is None:
        return f"its secrets need the master key {needed}; put that at {config.master_key}"
    return f"its secrets need the master key {needed}, and the vault here has {here}"


async def _ask(config: Config, file: Path, other_key: str | None, manifest: Manifest) -> None:
    """Raise Unconfirmed if anything would be lost from sight."""
    try:
        there = await whole.rows_there(config)
    except StoreError:
        there = None  # damaged, which is why somebody restores
    about: dict[str, str] = {}
    if there != 0:
        rows = "what cannot be read" if there is None else f"{there} rows"
        about["replaces"] = f"{rows} in {where(config)}; kept aside"
    if other_key is not None:
        about["key"] = f"needs {', '.join(manifest.sealed_with)}, here is {other_key}"
    if about:
        again = f"meshctl db restore {shlex.quote(str(file))} --yes"
        raise Unconfirmed("this replaces the data or needs another key", facts=about, next=again)


async def _place(config: Config, folder: Path, clock: Clock) -> Path | None:
    """Put the checked copy in place; where the data is now that was there."""
    name = "before-restore-" + iso(clock.now()).replace("-", "").replace(":", "")
    place = config.database
    if isinstance(place, SqliteFile):
        kept = place.path.parent / name
        try:
            found = await asyncio.to_thread(swap, folder, *whole.files(place), kept)
        except OSError as error:
            about = {"into": where(config), "why": error.strerror or type(error).__name__}
            raise Unavailable("the data cannot be replaced", facts=about) from None
        return kept if found else None
    await refuse_daemons(config, place)
    backup: Path | None = None
    if await whole.rows_there(config):
        backup = config.home / f"{name}.backup"
        await backups.make(config, BackupAsked(file=str(backup)), clock)
    await whole.bring_up(folder)
    async with whole.read_copy(folder) as copy:
        await whole.fill(config, place, copy, await tally(copy))
    return backup


async def refuse_daemons(config: Config, place: PostgresServer) -> None:
    """Raise Conflict if anybody is connected to the server's database as a daemon is."""
    with explained(config):
        count = await whole.daemons_there(config, place)
    if count:
        facts: Mapping[str, str] = {"connections": str(count), "database": where(config)}
        raise Conflict(
            "daemons use this database, here or on other machines",
            facts=facts, next="meshctl daemon stop",
        )  # fmt: skip

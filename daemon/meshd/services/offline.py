"""`meshd db …`: what the database's commands do in a process of their own, without a daemon."""

import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from meshd.core.clock import Clock, iso
from meshd.core.config import Config
from meshd.services import backups
from meshd.services.db_facts import facts, key_here
from meshd.services.moving import move
from meshd.services.restoring import restore, where
from meshd.store import whole
from meshd.store.db import StoreError
from meshd.store.migrate import discover
from meshd.store.opening import FOLDERS, explained, open_databases
from meshd.store.reading import pending
from meshd.wire import db
from meshd.wire.errors import NotFound

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """A command line: `file` and `to` where the command takes them."""

    file: str = ""
    to: str = ""
    agreed: bool = False


Work = Callable[[Config, Asked, Clock], Coroutine[Any, Any, Any]]


@dataclass(frozen=True, slots=True)
class Command:
    """`takes` names the field of `Asked` that must be said; `alone` means while no daemon runs."""

    work: Work
    takes: str = ""
    alone: bool = True


async def _status(config: Config, _: Asked, __: Clock) -> db.DbStatus:
    """How the database stands, also beside a daemon that runs."""
    here = await key_here(config)
    if not whole.is_there(config):
        missing = [str(one) for folder in FOLDERS for one in discover(folder, "sqlite")]
        return db.DbStatus(
            engine="sqlite", where=where(config), exists=False, pending=missing, key_here=here
        )
    with explained(config):
        async with whole.read(config) as reading:
            found = await facts(reading)
            applied = [db.MigrationApplied(migration=str(o), at=iso(o.at)) for o in found.applied]
            return db.DbStatus(
                engine=reading.dialect, where=where(config), exists=bool(found.applied),
                size_bytes=await reading.size(), installation=found.installation,
                flaw=await reading.flaw(), tables=found.tables,
                applied=applied, pending=await pending(reading, FOLDERS),
                sealed_with=found.sealed_with, key_here=here,
                last_backup=_last(found.last_backup),
            )  # fmt: skip


def _last(text: str | None) -> db.LastBackup | None:
    return msgspec.json.decode(text, type=db.LastBackup) if text else None


async def _migrate(config: Config, _: Asked, __: Clock) -> db.DbMigrated:
    """Apply what is missing."""
    with explained(config):
        async with open_databases(config) as databases:
            missing = await databases.pending()
            await databases.migrate()
    return db.DbMigrated(where=where(config), applied=missing)


async def _backup(config: Config, asked: Asked, clock: Clock) -> db.BackedUp:
    """Write a backup."""
    if not whole.is_there(config):
        raise NotFound("there is no data yet", facts={"database": where(config)})
    wanted = db.BackupAsked(file=asked.file, replace=asked.agreed)
    done = await backups.make(config, wanted, clock)
    try:
        async with open_databases(config) as databases:
            if not await databases.pending():
                await databases.main.write(backups.remembered(done))
    except StoreError as error:  # the backup is whole, and where it was asked for
        log.warning("the backup %s could not be put on record: %s", done.file, error)
    return done


async def _restore(config: Config, asked: Asked, clock: Clock) -> db.Restored:
    """Put a backup in place."""
    return await restore(config, Path(asked.file), clock, agreed=asked.agreed)


async def _move(config: Config, asked: Asked, clock: Clock) -> db.DbMoved:
    """Copy everything elsewhere."""
    return await move(config, asked.to, clock)


COMMANDS: Mapping[str, Command] = {
    "status": Command(_status, alone=False),
    "migrate": Command(_migrate),
    "backup": Command(_backup, takes="file"),
    "restore": Command(_restore, takes="file"),
    "move": Command(_move, takes="to"),
}
"""By the word behind `meshd db`."""

"""Copying everything to another database, and proving it. The caller holds the home's lock.

The source is read and nothing else; which database is in use stays a matter of the settings.
"""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

from meshd.core.clock import Clock
from meshd.core.config import Config
from meshd.core.database_url import PostgresServer, SqliteFile
from meshd.services.restoring import refuse_daemons, where
from meshd.store import whole
from meshd.store.db import StoreError
from meshd.store.opening import FOLDERS, explained
from meshd.store.reading import Reading, pending
from meshd.store.sqlite_swap import swap
from meshd.store.tally import Tally, tally
from meshd.wire.db import DbMoved, TableMoved
from meshd.wire.errors import Conflict, NotFound


async def move(config: Config, url: str, clock: Clock) -> DbMoved:
    """Copy all rows to the database at `url`; what both sides hold then, table by table.

    Raises:
        BadRequest: the URL is not valid.
        NotFound: there is no data yet.
        Conflict: the source lacks migrations, daemons use a server, or the target has rows.
        Unavailable: a database cannot be used, or what was read back differs. The target
            is then as it was.
    """
    target, began = config.at(url, "--to"), clock.monotonic()
    if not whole.is_there(config):
        raise NotFound("there is no data yet", facts={"database": where(config)})
    for one in (config, target):
        if isinstance(one.database, PostgresServer):
            await refuse_daemons(one, one.database)
    await _refuse_rows(target)
    with _room(target) as room, explained(config):
        async with whole.read(config) as source:
            await _refuse_old(source)
            before = await tally(source)
            await whole.copy(source, Path(room, "copy"))
        with explained(target):
            after = await _fill(target, Path(room, "copy"), before)
    return DbMoved(
        source=where(config), target=where(target), tables=_compared(target, before, after),
        seconds=round(clock.monotonic() - began, 3),
    )  # fmt: skip


async def _refuse_rows(target: Config) -> None:
    with explained(target):
        rows = await whole.rows_there(target)
    place = target.database
    if rows or (isinstance(place, SqliteFile) and any(f.exists() for f in whole.files(place))):
        raise Conflict(
            "the target is not empty", facts={"database": where(target), "rows": str(rows)}
        )


async def _refuse_old(source: Reading) -> None:
    missing = await pending(source, FOLDERS)
    if missing:
        raise Conflict(
            "the database lacks migrations", facts={"missing": " ".join(missing)},
            next="meshctl db migrate",
        )  # fmt: skip


def _room(target: Config) -> tempfile.TemporaryDirectory[str]:
    """A folder for the copy; a target of files takes them over from there."""
    place = target.database
    parent = place.path.parent if isinstance(place, SqliteFile) else target.home
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix=".moving-", dir=parent, ignore_cleanup_errors=True)


async def _fill(target: Config, folder: Path, before: Mapping[str, Tally]) -> Mapping[str, Tally]:
    """Make the copy the target's data, once it is known to be what the source holds."""
    place = target.database
    async with whole.read_copy(folder) as copy:
        if isinstance(place, PostgresServer):
            return await whole.fill(target, place, copy, before)
        after = await tally(copy)
    wrong = whole.differing(before, after)
    if wrong:
        raise StoreError(f"what was written is not what is there: {', '.join(wrong)}")
    await asyncio.to_thread(swap, folder, *whole.files(place), folder / "kept")
    return after


def _compared(
    target: Config, before: Mapping[str, Tally], after: Mapping[str, Tally]
) -> list[TableMoved]:
    to_server = isinstance(target.database, PostgresServer)
    return [
        TableMoved(
            table=name, rows=one.rows, rows_there=after[name].rows, checksum=one.checksum,
            checksum_there=after[name].checksum,
            replaced_nul=one.with_nul if to_server else 0,
        )
        for name, one in before.items()
    ]  # fmt: skip

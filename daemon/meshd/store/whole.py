"""A whole database as one thing to read, copy, or fill, whatever it is on.

Nothing here decides whether that may be done. What opens SQLite for writing needs the home's lock.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from meshd.core.config import Config
from meshd.core.database_url import RECORDS, PostgresServer, SqliteFile
from meshd.store.db import StoreError
from meshd.store.opening import CALLS, FOLDERS, MAIN, SQL, Databases, open_server
from meshd.store.queries import Queries
from meshd.store.reading import CALLS_FILE, MAIN_FILE, Reading, Values, counts
from meshd.store.sqlite import SqliteDatabase
from meshd.store.sqlite_reading import read_files
from meshd.store.tally import Tally, tally

if TYPE_CHECKING:
    from meshd.store.postgres import PostgresDatabase


def files(place: SqliteFile) -> tuple[Path, Path]:
    """The main file and that of the call records."""
    return place.path, place.path.with_name(RECORDS)


def is_there(config: Config) -> bool:
    """Whether there is anything to open. A server is taken to be there."""
    place = config.database
    return isinstance(place, PostgresServer) or any(path.exists() for path in files(place))


@asynccontextmanager
async def read(config: Config, databases: Databases | None = None) -> AsyncIterator[Reading]:
    """The database that the settings name, until the block is left; a server's as of one moment.

    A daemon that runs lends its own connections with `databases`.

    Raises:
        StoreError: it is missing or cannot be read.
    """
    place = config.database
    if isinstance(place, SqliteFile):
        async with read_files(*files(place)) as found:
            yield found
    else:
        from meshd.store.postgres_reading import PostgresReading

        async with (
            _lent_or_own(config, place, databases) as database,
            database.at_length("reading everything", frozen=True) as connection,
        ):
            yield PostgresReading(connection, FOLDERS)


@asynccontextmanager
async def _lent_or_own(
    config: Config, place: PostgresServer, databases: Databases | None
) -> AsyncIterator["PostgresDatabase"]:
    if databases is not None:
        yield cast("PostgresDatabase", databases.whole)
        return
    async with server(config, place) as database:
        yield database


@asynccontextmanager
async def server(config: Config, place: PostgresServer) -> AsyncIterator["PostgresDatabase"]:
    """A server's database, quiet: it hears no hints and sends none."""
    database = await open_server(config, place, Queries.load(SQL, "postgres"), relaxed=True)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def read_copy(folder: Path) -> AsyncIterator[Reading]:
    """The two files of a copy."""
    async with read_files(folder / MAIN_FILE, folder / CALLS_FILE) as found:
        yield found


async def bring_up(folder: Path) -> None:
    """Apply to a copy the migrations that it lacks."""
    for name, migrations in ((MAIN_FILE, MAIN), (CALLS_FILE, CALLS)):
        database = await SqliteDatabase.open(
            folder / name, Queries.load(SQL, "sqlite"), migrations=migrations
        )
        try:
            await database.migrate()
        finally:
            await database.close()


async def asked(reading: Reading, name: str) -> list[Values]:
    """The rows of a named query without parameters, in the order of its columns."""
    return await reading.fetch(Queries.load(SQL, reading.dialect).sql(name))


async def rows_there(config: Config) -> int:
    """How many rows the database has, 0 also where there is none."""
    if not is_there(config):
        return 0
    async with read(config) as reading:
        return sum((await counts(reading)).values())


async def daemons_there(config: Config, place: PostgresServer) -> int:
    """How many connections of daemons a server's database has."""
    from meshd.store.postgres_load import others

    async with (
        server(config, place) as database,
        database.at_length("asking who is there", frozen=True) as connection,
    ):
        return await others(connection)


async def fill(
    config: Config, place: PostgresServer, copy: Reading, expected: Mapping[str, Tally]
) -> Mapping[str, Tally]:
    """Put a copy in place of what a server's database holds, in one transaction; what is there.

    Migrations that it lacks are applied first.

    Raises:
        StoreError: it cannot be done, or what was read back is not what was expected. Then
            the database holds what it held before.
    """
    from meshd.store.postgres_load import load, others
    from meshd.store.postgres_reading import PostgresReading

    async with server(config, place) as database:
        await database.migrate()
        async with database.at_length("filling the database", frozen=False) as connection:
            await load(copy, connection, FOLDERS)
            if await others(connection):  # who comes from here on waits for the end of this
                raise StoreError("a daemon began to use the database meanwhile")
            found = await tally(PostgresReading(connection, FOLDERS))
            wrong = differing(expected, found)
            if wrong:
                raise StoreError(f"what was written is not what is there: {', '.join(wrong)}")
    return found


def differing(expected: Mapping[str, Tally], found: Mapping[str, Tally]) -> list[str]:
    """The tables that are not the same on both sides."""
    nothing = Tally()
    return [name for name, one in expected.items() if not one.same(found.get(name, nothing))]


async def copy(reading: Reading, folder: Path) -> None:
    """Write both files of a copy into a folder, which is made."""
    await asyncio.to_thread(folder.mkdir, 0o700)
    await reading.copy_into(folder)

"""Opens the two databases of a daemon, SQLite or Postgres, as its settings say. No schema is here.

Opening changes no schema: `migrate` does, for whoever wants that, and `pending` tells what it
would do. Errors are those that an operator reads, without the password of a server.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from meshd.core.config import Config
from meshd.core.database_url import RECORDS, PostgresServer, SqliteFile
from meshd.store.data_place import refuse_network
from meshd.store.db import Database, SchemaNewer, StoreDamaged, StoreError
from meshd.store.queries import Queries
from meshd.store.scoped import ScopedDatabase
from meshd.store.sqlite import SqliteDatabase
from meshd.wire.errors import Unavailable
from meshd.wire.version import VERSION

if TYPE_CHECKING:
    from meshd.store.postgres import PostgresDatabase

_STORE = Path(__file__).parent
SQL = _STORE / "sql"
MIGRATIONS = _STORE / "migrations"
MAIN, CALLS = MIGRATIONS / "main", MIGRATIONS / "calls"
FOLDERS = (MAIN, CALLS)


@dataclass(frozen=True, slots=True)
class Databases:
    """The main database, and the one for call records that nothing promised waits for.

    On Postgres they are one database over two pools, and the main one has every table.
    """

    main: ScopedDatabase
    calls: ScopedDatabase
    whole: Database
    """The main database past the orgs, for what reads all of it."""

    @property
    def shared(self) -> bool:
        """Whether other daemons may use them at the same time."""
        return self.main.dialect == "postgres"

    async def pending(self) -> list[str]:
        """The migrations that are missing, as `NNNN_name`, in the order in which they would run.

        Raises:
            StoreError: as `Database.migrate`.
        """
        return [one for database in self._apart() for one in await database.pending()]

    async def migrate(self) -> list[int]:
        """Apply what is missing; the numbers applied. Raises as `Database.migrate`."""
        return [number for database in self._apart() for number in await database.migrate()]

    def _apart(self) -> tuple[ScopedDatabase, ...]:
        """Those that have tables of their own."""
        return (self.main,) if self.shared else (self.main, self.calls)


@asynccontextmanager
async def open_databases(config: Config) -> AsyncIterator[Databases]:
    """Both databases of `config`, closed when the block is left; the main one last.

    A missing file is made, with its folder. The caller holds the lock of `config.home`, which is
    what keeps a second writer away from the files.

    Raises:
        Unavailable: a file or the server cannot be used.
    """
    postgres = isinstance(config.database, PostgresServer)
    queries = Queries.load(SQL, "postgres" if postgres else "sqlite")
    with explained(config):
        main = await _open(config, queries, records=False)
    try:
        with explained(config):
            calls = await _open(config, queries, records=True)
        try:
            yield Databases(ScopedDatabase(main, queries), ScopedDatabase(calls, queries), main)
        finally:
            await calls.close()
    finally:
        await main.close()


@contextmanager
def explained(config: Config) -> Iterator[None]:
    """Make of what the store raises in the block what an operator can act upon.

    Raises:
        Unavailable: the store raised something.
    """
    try:
        yield
    except StoreDamaged:
        raise
    except SchemaNewer as error:
        failure = Unavailable(
            "the data belongs to a later release of meshctl than this one",
            facts={"why": str(error), "this release": VERSION},
            next="pip install --upgrade meshctl",
        )
    except StoreError as error:
        what = "Postgres" if isinstance(config.database, PostgresServer) else "the database"
        failure = Unavailable(
            f"{what} cannot be used",
            facts={"why": str(error), "DATABASE_URL": config.text("DATABASE_URL") or "not set"},
            next="meshctl config list",
        )
    else:
        return
    raise failure  # not in the except clause: the store's error would be printed as well


async def open_server(
    config: Config, place: PostgresServer, queries: Queries, *, relaxed: bool
) -> "PostgresDatabase":
    """The database on a server. What `relaxed` means is told at `PostgresDatabase.open`.

    Raises:
        StoreError: it cannot be used.
    """
    from meshd.store.postgres import PostgresDatabase  # a tenth of a start, where it is not needed

    return await PostgresDatabase.open(
        place.dsn.reveal(), queries, migrations=FOLDERS, ssl=config.database_ssl, relaxed=relaxed
    )


async def _open(config: Config, queries: Queries, *, records: bool) -> Database:
    place = config.database
    if isinstance(place, PostgresServer):
        return await open_server(config, place, queries, relaxed=records)
    return await _open_file(place, queries, records=records)


async def _open_file(place: SqliteFile, queries: Queries, *, records: bool) -> Database:
    path = place.path.with_name(RECORDS) if records else place.path
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path.parent}: {error.strerror}") from None
    refuse_network(path.parent)
    return await SqliteDatabase.open(
        path, queries, migrations=CALLS if records else MAIN,
        durable=not records,
    )  # fmt: skip

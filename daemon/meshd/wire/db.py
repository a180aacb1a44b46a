"""The database as a whole: how it stands, its copies, its way to another place.

A key is named by its id, 16 hexadecimal digits that say nothing about the key.
"""

from typing import Literal

from msgspec import Struct

Engine = Literal["sqlite", "postgres"]


class TableRows(Struct, kw_only=True):
    """How many rows a table has."""

    table: str
    rows: int


class MigrationApplied(Struct, kw_only=True):
    """A migration, as `NNNN_name`, and when it was applied."""

    migration: str
    at: str


class LastBackup(Struct, kw_only=True):
    """The last backup that was made; whether the file is still there is not known."""

    file: str
    at: str
    bytes: int


class DbStatus(Struct, kw_only=True):
    """What `db status` shows.

    `where` is the DATABASE_URL without its password. `exists` is false before the first start.
    `flaw` is what a quick look at the database's structures found wrong. `sealed_with` are the
    master keys that open what is stored, `key_here` is the one that the vault has here.
    """

    engine: Engine
    where: str
    exists: bool
    size_bytes: int = 0
    installation: str | None = None
    flaw: str | None = None
    applied: list[MigrationApplied] = []
    pending: list[str] = []
    tables: list[TableRows] = []
    sealed_with: list[str] = []
    key_here: str | None = None
    last_backup: LastBackup | None = None


class DbMigrated(Struct, kw_only=True):
    """The migrations that were applied, as `NNNN_name`."""

    where: str
    applied: list[str]


class BackupAsked(Struct, kw_only=True):
    """`file` is a whole path; a file that is there is only replaced with `replace`."""

    file: str
    replace: bool = False


class BackedUp(Struct, kw_only=True):
    """A backup that was written. A restore needs the master keys in `sealed_with`."""

    file: str
    at: str
    bytes: int
    engine: Engine
    sealed_with: list[str]
    tables: list[TableRows]


class Restored(Struct, kw_only=True):
    """What was put in place. `kept` is where the data lies that was there before.

    `pending` are migrations that the next start applies. `warning` tells of a key that is missing.
    """

    file: str
    at: str
    where: str
    installation: str | None
    sealed_with: list[str]
    tables: list[TableRows]
    key_here: str | None = None
    kept: str | None = None
    pending: list[str] = []
    warning: str | None = None


class TableMoved(Struct, kw_only=True):
    """A table on both sides: rows, and a SHA-256 based sum over them that order does not change.

    `replaced_nul` are rows in which U+FFFD stands for U+0000 now, which Postgres cannot hold.
    """

    table: str
    rows: int
    rows_there: int
    checksum: str
    checksum_there: str
    replaced_nul: int = 0


class DbMoved(Struct, kw_only=True):
    """A copy of everything at another place; the source is as it was, and still the one in use."""

    source: str
    target: str
    tables: list[TableMoved]
    seconds: float


class Member(Struct, kw_only=True):
    """A file in a backup."""

    name: str
    bytes: int
    sha256: str


class Manifest(Struct, kw_only=True):
    """`manifest.json` in a backup: what it holds, and what is needed to use it."""

    format: str
    version: int
    made_at: str
    made_by: str
    engine: Engine
    installation: str | None
    sealed_with: list[str]
    migrations: list[str]
    tables: list[TableRows]
    members: list[Member]

"""Schema migrations: the files, which of them are missing, and their statements. No database here.

Files are `NNNN_name.sql`, or `NNNN_name.sqlite.sql` and `NNNN_name.postgres.sql` where the dialects
must differ: numbers and names are equal in both. They go forward only and never change once
applied. Every missing number is applied in order, also below the highest applied, since branches
bring theirs in any order.
"""

import hashlib
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from meshd.store.db import Dialect, SchemaNewer, StoreError

TABLE = "schema_migrations"
LEDGER = """CREATE TABLE IF NOT EXISTS schema_migrations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,    -- SHA-256 of the file, hex
    applied_at BIGINT NOT NULL -- microseconds since the epoch
)"""
APPLIED = "SELECT number, checksum FROM schema_migrations"
RECORD = """INSERT INTO schema_migrations (number, name, checksum, applied_at)
VALUES (:number, :name, :checksum, :applied_at)"""

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)(?:\.(sqlite|postgres))?\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: what it is called, what it runs and the hash that it is remembered by."""

    number: int
    name: str
    file: str
    script: str
    checksum: str

    def __str__(self) -> str:
        return f"{self.number:04}_{self.name}"


def discover(folder: Path, dialect: Dialect) -> list[Migration]:
    """The migrations of one dialect by number.

    Raises:
        StoreError: no such folder, a misnamed file, a number used twice, or a migration that
            exists for the other dialect only.
    """
    if not folder.is_dir():
        raise StoreError(f"no folder of migrations at {folder}")
    numbered: dict[int, list[re.Match[str]]] = {}
    for file in sorted(path.name for path in folder.glob("*.sql")):
        parts = _FILE.fullmatch(file)
        if parts is None:
            raise StoreError(f"{file} is not named NNNN_name.sql or NNNN_name.DIALECT.sql")
        numbered.setdefault(int(parts[1]), []).append(parts)
    return [_pick(folder, numbered[number], dialect) for number in sorted(numbered)]


def _pick(folder: Path, forms: Sequence[re.Match[str]], dialect: Dialect) -> Migration:
    """The file for this dialect among those of one number."""
    shared = any(form[3] is None for form in forms)
    if len({form[2] for form in forms}) > 1 or (shared and len(forms) > 1):
        raise StoreError(f"{forms[0][0]} and {forms[1][0]} have the same number")
    mine = next((form for form in forms if form[3] in {None, dialect}), None)
    if mine is None:
        raise StoreError(f"{forms[0][0]} has no counterpart for {dialect}")
    content = (folder / mine[0]).read_bytes()
    checksum = hashlib.sha256(content).hexdigest()
    return Migration(int(mine[1]), mine[2], mine[0], content.decode(), checksum)


def plan(known: Sequence[Migration], applied: Mapping[int, str]) -> list[Migration]:
    """The migrations to run, in order; `applied` maps numbers to checksums.

    Raises:
        SchemaNewer: the database has a migration that no file describes, so that a later release
            (or another schema) made it.
        StoreError: a file changed after it was applied.
    """
    unknown = sorted(applied.keys() - {migration.number for migration in known})
    if unknown:
        raise SchemaNewer(
            f"migration {unknown[0]:04} is in the database but not in this release: "
            "the database belongs to a later one"
        )
    for migration in known:
        if applied.get(migration.number, migration.checksum) != migration.checksum:
            raise StoreError(f"{migration.file} was changed after it was applied")
    missing = (migration for migration in known if migration.number not in applied)
    return sorted(missing, key=lambda migration: migration.number)


def statements(script: str) -> Iterator[str]:
    """The statements of an SQLite script, one by one.

    `sqlite3.executescript` would commit the open transaction first; a split at every semicolon
    would cut triggers and literals.
    """
    statement = ""
    for piece in re.split(r"(?<=;)", script):
        statement += piece
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""
    if statement.strip():
        yield statement.strip()

"""Making an SQLite file that no daemon has open: its schema, its rows, its way to the disk."""

import os
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from meshd.store import migrate
from meshd.store.db import StoreError
from meshd.store.migrate import Migration
from meshd.store.reading import Table, Values


class SqliteFileWriter:
    """A new file for the owner alone, written in one transaction that `finish` ends."""

    def __init__(self, path: Path, migrations: Sequence[Migration]) -> None:
        """Make the file and run the migrations, which are SQLite's.

        Raises:
            FileExistsError: there is such a file.
        """
        self._path = path
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("PRAGMA foreign_keys=OFF")  # rows come table by table
        self._connection.execute("BEGIN")
        self._connection.execute(migrate.LEDGER)
        for migration in migrations:
            for statement in migrate.statements(migration.script):
                self._connection.execute(statement)
            self._connection.execute(
                migrate.RECORD,
                {
                    "number": migration.number,
                    "name": migration.name,
                    "checksum": migration.checksum,
                    "applied_at": time.time_ns() // 1_000,
                },
            )
        for table in self.tables():
            # What a migration put in comes with the rows again.
            self._connection.execute(f"DELETE FROM {table.named}")  # noqa: S608 - names of our own schema

    def tables(self) -> list[Table]:
        """The tables that the migrations made."""
        names = self._connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
            " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        ).fetchall()
        return [
            Table(
                name,
                tuple(
                    column
                    for (column,) in self._connection.execute(
                        "SELECT name FROM pragma_table_info(?)", (name,)
                    )
                ),
            )
            for (name,) in names
            if name != migrate.TABLE
        ]

    def insert(self, table: Table, rows: Iterable[Values]) -> None:
        """Add rows."""
        marks = ", ".join("?" * len(table.columns))
        self._connection.executemany(
            f"INSERT INTO {table.named} ({table.listed}) VALUES ({marks})",  # noqa: S608 - our schema
            rows,
        )

    def count_on(self, table: Table, last: int) -> None:
        """Let the numbers of a table's rows go on behind `last`."""
        given = (last, table.name)
        done = self._connection.execute(
            "UPDATE sqlite_sequence SET seq = ? WHERE name = ?", given
        ).rowcount
        if not done:
            self._connection.execute("INSERT INTO sqlite_sequence (seq, name) VALUES (?, ?)", given)

    def finish(self) -> None:
        """Commit and sync.

        Raises:
            StoreError: a row refers to one that is not there.
        """
        lost = self._connection.execute("PRAGMA foreign_key_check").fetchone()
        if lost is not None:
            raise StoreError(f"a row of {lost[0]} refers to one of {lost[2]} that is not there")
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file; what was not finished is undone."""
        self._connection.close()

"""Migrated SQLite files and parsed queries, made once a process instead of once a test.

That a daemon migrates and reads its queries itself is shown where that is the subject.
"""

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from types import SimpleNamespace

from meshd.core.database_url import RECORDS
from meshd.store import migrate
from meshd.store.opening import CALLS, MAIN
from meshd.store.queries import Queries

PARSED = SimpleNamespace(load=cache(Queries.load))
"""Stands in for `Queries` where only `load` is called, with folders that do not change."""


def put(home: Path) -> None:
    """Both databases in a home that has none yet, with every migration and nothing else."""
    data = home / "data"
    if data.exists():
        return
    data.mkdir(mode=0o700, parents=True)
    for name, folder in (("mesh.db", MAIN), (RECORDS, CALLS)):
        path = data / name
        path.touch(mode=0o600)
        path.write_bytes(_migrated(folder))


@cache
def _migrated(folder: Path) -> bytes:
    """A database with the migrations of a folder, and their ledger."""
    with closing(sqlite3.connect(":memory:")) as link:
        link.execute(migrate.LEDGER)
        for one in migrate.discover(folder, "sqlite"):
            link.executescript(one.script)
            row = {"number": one.number, "name": one.name, "checksum": one.checksum}
            link.execute(migrate.RECORD, {**row, "applied_at": 0})
        link.commit()
        return link.serialize()

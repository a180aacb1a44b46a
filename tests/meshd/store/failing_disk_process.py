"""Writes to the database in argv[1] before, while and after its disk fails; prints how each went.

A file size limit stands for the failing disk.
"""

import asyncio
import resource
import sys
from pathlib import Path

from meshd.store.db import Step, StoreUnavailable
from meshd.store.queries import Queries
from meshd.store.sqlite import SqliteDatabase


def limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


async def main(folder: Path) -> None:
    path = folder / "mesh.db"
    database = await SqliteDatabase.open(
        path, Queries.load(folder / "sql"), migrations=folder / "migrations"
    )
    await database.migrate()

    async def attempt(name: str) -> None:
        try:
            await database.write(Step("thing.add", {"name": name, "count": 1}))
        except StoreUnavailable as error:
            print(name.strip("."), error, flush=True)
        else:
            print(name.strip("."), "written", flush=True)

    await attempt("before")
    limit(path.with_name("mesh.db-wal").stat().st_size)
    await attempt("during" + "." * 20_000)
    limit(resource.RLIM_INFINITY)
    await attempt("after")
    await database.close()


asyncio.run(main(Path(sys.argv[1])))

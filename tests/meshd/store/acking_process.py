"""Writes for ever to the database in argv[1] and prints each number once it is acknowledged."""

import asyncio
import itertools
import sys
from pathlib import Path

from meshd.store.db import Step
from meshd.store.queries import Queries
from meshd.store.sqlite import SqliteDatabase


async def main(folder: Path) -> None:
    queries = Queries.load(folder / "sql")
    database = await SqliteDatabase.open(
        folder / "mesh.db", queries, migrations=folder / "migrations"
    )
    await database.migrate()
    numbers = itertools.count()

    async def write() -> None:
        for number in numbers:
            await database.write(Step("thing.add", {"name": f"n{number}", "count": number}))
            print(number, flush=True)

    await asyncio.gather(*(write() for _ in range(16)))


asyncio.run(main(Path(sys.argv[1])))

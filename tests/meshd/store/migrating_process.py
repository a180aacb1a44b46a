"""Migrates the database in argv[1] and prints the numbers that it applied."""

import asyncio
import sys
from pathlib import Path

from meshd.store.postgres import PostgresDatabase
from meshd.store.queries import Queries


async def main(dsn: str, folder: Path) -> None:
    queries = Queries.load(folder / "sql", "postgres")
    database = await PostgresDatabase.open(dsn, queries, migrations=[folder / "migrations"])
    print("ready", flush=True)
    sys.stdin.readline()
    print(*await database.migrate())
    await database.close()


asyncio.run(main(sys.argv[1], Path(sys.argv[2])))

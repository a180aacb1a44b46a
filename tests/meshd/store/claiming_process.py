"""Claims the things in argv[4:] as number argv[3] in the database argv[1]; prints which it got."""

import asyncio
import sys
from pathlib import Path

from meshd.store.db import ExpectFailed, Step
from meshd.store.postgres import PostgresDatabase
from meshd.store.queries import Queries


async def main(dsn: str, folder: Path, number: int, names: list[str]) -> None:
    queries = Queries.load(folder / "sql", "postgres")
    database = await PostgresDatabase.open(dsn, queries, migrations=[])
    print("ready", flush=True)
    sys.stdin.readline()
    for name in names if number == 1 else reversed(names):
        try:
            await database.write(Step("thing.claim", {"name": name, "by": number}, expect=1))
        except ExpectFailed:
            continue
        print(name)
    await database.close()


asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))

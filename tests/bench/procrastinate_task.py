"""`procrastinate_task.py DSN`: jobs that procrastinate defers in a second, by 16 who wait for each.

Run by an interpreter that has that package, beside nothing of meshd.
"""

import asyncio
import sys
import time
from urllib.parse import parse_qsl, quote, urlencode

import procrastinate

DEFERRERS, SECONDS = 16, 2.0


async def main(dsn: str) -> None:
    """Make its tables, defer, and print."""
    pool = procrastinate.PsycopgConnector(
        conninfo=for_libpq(dsn), min_size=DEFERRERS, max_size=DEFERRERS
    )
    app = procrastinate.App(connector=pool)

    @app.task(name="order.made")
    async def made(no: int, text: str) -> None:
        """Is never run here."""

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        end, count = time.perf_counter() + SECONDS, 0

        async def defer() -> None:
            nonlocal count
            while time.perf_counter() < end:
                await made.defer_async(no=17, text="a hundred bytes or so" * 4)
                count += 1

        await asyncio.gather(*(defer() for _ in range(DEFERRERS)))
    print(f"jobs deferred/s by procrastinate, {DEFERRERS} at once: {count / SECONDS:.0f}")


def for_libpq(dsn: str) -> str:
    """The same in libpq's words, which has no server's settings but as an option."""
    head, _, query = dsn.partition("?")
    given = dict(parse_qsl(query))
    if name := given.pop("database", ""):
        given["dbname"] = name
    if path := given.pop("search_path", ""):
        given["options"] = f"-c search_path={path}"
    return f"{head}?{urlencode(given, quote_via=quote)}"


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

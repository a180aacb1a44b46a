"""What the server sees of the driver's connections, and how to wait for it.

The connections of a test are known by their application's name, which is that of its schema.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

MINE = "FROM pg_stat_activity WHERE application_name = current_schema()"


async def sessions(admin: asyncpg.Connection) -> list[int]:
    """The process ids of them all."""
    return [row["pid"] for row in await admin.fetch(f"SELECT pid {MINE}")]


async def waiting(admin: asyncpg.Connection) -> int:
    """How many wait for a lock."""
    return await admin.fetchval(f"SELECT count(*) {MINE} AND wait_event_type = 'Lock'")


async def cut(admin: asyncpg.Connection) -> None:
    """End every one, as an operator or a restart does."""
    await admin.execute(f"SELECT pg_terminate_backend(pid) {MINE}")


async def eventually(
    ask: Callable[[], Awaitable[Any]], expected: Any = None, deadline: float = 10.0
) -> Any:
    """The first answer that is as expected, or else the first true one."""
    async with asyncio.timeout(deadline):
        while True:
            answer = await ask()
            if answer if expected is None else answer == expected:
                return answer
            await asyncio.sleep(0.01)

"""Hints between daemons on one Postgres that something changed, by NOTIFY and LISTEN.

A hint carries nothing and may be lost: whoever must see a change polls as well. One connection of
its own does both, so that a hint of ours is known by its sender. A NOTIFY inside the transactions
that change something would make them commit one after the other, in the whole server.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from meshd.store.postgres_faults import is_unavailable

log = logging.getLogger(__name__)

DEBOUNCE = 0.05
"""Seconds between two hints of one daemon, at least."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""Seconds before the connection is made again; doubled from try to try, give or take a fifth."""
CLOSE = 1.0


class Signals:
    """Tells other daemons, and rings when one of them tells."""

    def __init__(self, connect: Callable[[], Awaitable[Any]]) -> None:
        self._connect = connect
        self._rings: list[Callable[[], None]] = []
        self._wake = asyncio.Event()
        self._pending = False

    def on_ring(self, ring: Callable[[], None]) -> None:
        """Call `ring` at every hint of another daemon, and whenever hints may have been missed."""
        self._rings.append(ring)

    def announce(self) -> None:
        """Something changed here. Tells the others soon, once for many changes."""
        self._pending = True
        self._wake.set()

    async def run(self) -> None:
        """Keep the connection, for ever."""
        pause = FIRST_PAUSE
        while True:
            try:
                connection = await self._connect()
                try:
                    channel = await self._listen(connection)
                    pause = FIRST_PAUSE
                    await self._tell(connection, channel)
                finally:
                    with suppress(Exception):
                        await connection.close(timeout=CLOSE)
                log.warning("the connection for change signals was lost; polling goes on")
            except Exception as error:
                if not is_unavailable(error):
                    raise
                log.warning("no change signals, but polling: %s", type(error).__name__)
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _listen(self, connection: Any) -> str:
        """Begin to listen. What was told meanwhile, by whomever, is made up for."""
        # Several installations may share a database, each in its schema.
        channel: str = await connection.fetchval("SELECT format('meshd.%s', current_schema())")

        def hear(_connection: Any, sender: int, *_: object) -> None:
            if sender != connection.get_server_pid():
                self._ring()

        connection.add_termination_listener(lambda _connection: self._wake.set())
        await connection.add_listener(channel, hear)
        self._ring()
        self.announce()
        return channel

    async def _tell(self, connection: Any, channel: str) -> None:
        """Send hints until the connection is lost."""
        while not connection.is_closed():
            await self._wake.wait()
            self._wake.clear()
            if self._pending and not connection.is_closed():
                self._pending = False
                await connection.execute("SELECT pg_notify($1, '')", channel)
                await asyncio.sleep(DEBOUNCE)

    def _ring(self) -> None:
        for ring in self._rings:
            ring()

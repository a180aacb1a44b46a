"""The one loop that fires schedules: looks when the next slot comes, and sleeps until then.

What is due and what becomes of it is the business of the callable that it is given.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from meshd.core.tasks import TaskGroup
from meshd.store.db import StoreError
from meshd.wire.errors import MeshError

log = logging.getLogger(__name__)

POLL = 2.0
"""Seconds after which it looks although nothing was told: another daemon may have made one."""

FireDue = Callable[[], Awaitable[float]]
"""Fires what is due; seconds until it wants to be asked again."""


class Scheduler:
    """Runs until it is stopped. `wake` makes it look at once; polling is the truth."""

    def __init__(self, fire_due: FireDue) -> None:
        self._fire_due = fire_due
        self._wakes = asyncio.Event()
        self._tasks = TaskGroup("scheduler")

    def wake(self) -> None:
        """A schedule was made or changed."""
        self._wakes.set()

    def start(self) -> None:
        """Begin; to be called once what firing needs is there."""
        self._tasks.start("loop", self._run())

    async def stop(self) -> None:
        """End at once; what is half decided is not on disk, and stays due."""
        await self._tasks.stop()

    async def _run(self) -> None:
        while True:
            self._wakes.clear()
            wait = POLL
            try:
                wait = min(await self._fire_due(), POLL)
            except (StoreError, MeshError) as error:
                log.warning("schedules could not be fired: %s", error)
            except Exception:
                log.exception("schedules could not be fired")  # the next round may do better
            try:
                async with asyncio.timeout(wait):
                    await self._wakes.wait()
            except TimeoutError:
                pass

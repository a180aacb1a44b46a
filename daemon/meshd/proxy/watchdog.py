"""The daemon's side of `reaper`: one helper process that outlives a killed daemon by a moment.

A parent-death signal would need code between fork and exec, exists on Linux only, and reaches a
child but not what that child started.
"""

import asyncio
import contextlib
import logging
import sys
from pathlib import Path

from meshd.proxy import reaper

log = logging.getLogger(__name__)

PROGRAM = str(Path(reaper.__file__))
END_WAIT = 2.0
"""Seconds the helper has to end, once its stdin is closed."""


class Watchdog:
    """Tells the helper which process groups run; started with the first, and again if it died."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._helper: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The helper's process id while it runs."""
        return self._helper.pid if self._helper and self._helper.returncode is None else None

    async def ready(self) -> None:
        """Have the helper run. Without it, orphans stay until the next daemon starts."""
        async with self._starting:
            if self.pid is not None:
                return
            try:
                self._helper = await asyncio.create_subprocess_exec(
                    sys.executable, "-I", "-S", PROGRAM,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                    cwd="/",
                    env={},
                    start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                log.warning("no watchdog for children: %s", error)
                return
            for group in self._groups:
                self._tell(b"+", group)

    def watch(self, group: int) -> None:
        """A process group began."""
        self._groups.add(group)
        self._tell(b"+", group)

    def forget(self, group: int) -> None:
        """It is gone; its number may be given out again."""
        self._groups.discard(group)
        self._tell(b"-", group)

    async def close(self) -> None:
        """End the helper. What is still watched then is killed by it."""
        helper, self._helper = self._helper, None
        if helper is None or helper.stdin is None:
            return
        helper.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(helper.wait(), END_WAIT)
        if helper.returncode is None:
            helper.kill()
            await helper.wait()

    def _tell(self, sign: bytes, group: int) -> None:
        if self.pid is not None and self._helper is not None and self._helper.stdin is not None:
            self._helper.stdin.write(b"%b%d\n" % (sign, group))

"""Whether there is room on the disk for more events: below a mark nothing more is taken."""

import os
from collections.abc import Callable

from meshd.core.config import Config
from meshd.core.database_url import SqliteFile
from meshd.wire.errors import StorageFull

AGAIN = 1.0
"""Seconds for which an answer of the file system holds."""
WAIT = 30
"""Seconds after which a publisher is told to try again."""


class Room:
    """Asks the file system once a second at most. `keep_free` may change while the daemon runs."""

    def __init__(
        self, keep_free: int, free: Callable[[], int | None], monotonic: Callable[[], float]
    ) -> None:
        """`keep_free` is in bytes; `free` gives what is free, or None where nobody knows."""
        self.keep_free = keep_free
        self._free = free
        self._monotonic = monotonic
        self._until = 0.0
        self._left: int | None = None

    def check(self) -> None:
        """Pass while there is room.

        Raises:
            StorageFull: there is too little; what is stored is safe, and is delivered.
        """
        now = self._monotonic()
        if now >= self._until:
            self._left, self._until = self._free(), now + AGAIN
        if self._left is not None and self._left < self.keep_free:
            raise StorageFull(
                f"the disk has {self._left >> 20} MiB left; {self.keep_free >> 20} are kept free",
                facts={"retry_after_s": str(WAIT)},
                next="meshctl config list",
            )


def free_for(config: Config) -> Callable[[], int | None]:
    """What the file system of the database has left for this user, in bytes.

    A server's is the server's: what it cannot store it refuses.
    """
    place = config.database

    def free() -> int | None:
        if not isinstance(place, SqliteFile):
            return None
        try:
            found = os.statvfs(place.path.parent)
        except OSError:
            return None
        return found.f_bavail * found.f_frsize

    return free

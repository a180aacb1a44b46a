"""Follows changes of connections that another daemon made: ends what runs, learns what it listed.

What decides needs nothing of this: it reads the snapshot. What a daemon itself edits it ends in
that edit, and waits for it; here it is found ended.
"""

import asyncio
import logging

from meshd.services.directory import ConnectionRow, Directory
from meshd.services.health import Health
from meshd.services.tools import Tools
from meshd.services.upstreams import Upstreams
from meshd.store.db import StoreError
from meshd.wire.errors import Unavailable

log = logging.getLogger(__name__)

AT_LEAST = 60.0
"""Seconds until it looks although nothing was told."""


class Following:
    """Keeps what runs here in line with the snapshot."""

    def __init__(
        self, directory: Directory, upstreams: Upstreams, tools: Tools, health: Health
    ) -> None:
        self._directory = directory
        self._upstreams = upstreams
        self._tools = tools
        self._health = health
        self._before = dict(directory.view.connections)

    async def run(self) -> None:
        """Follow, for ever."""
        while True:
            heard = self._directory.news.rung
            try:
                await self.follow()
            except (StoreError, Unavailable) as error:
                log.warning("changes of connections could not be followed: %s", error)
            await self._directory.news.wait(AT_LEAST, heard)

    async def follow(self) -> None:
        """End what runs for targets that are no more, and read lists that are not known here."""
        present = self._directory.view.connections
        before, self._before = self._before, dict(present)
        ended = [row for row in before.values() if not _runs_on(row, present.get(row.id))]
        await asyncio.gather(*map(self._upstreams.end, ended))
        for row in ended:
            if row.id not in present:
                self._health.forget(row.id)
        for row in present.values():
            if row.state == "ready" and self._tools.known(row) is None:
                await self._tools.read_stored(row)


def _runs_on(before: ConnectionRow, now: ConnectionRow | None) -> bool:
    """Whether what was started for a connection still serves it."""
    if not before.enabled:
        return True
    return now is not None and now.enabled and now.revision == before.revision

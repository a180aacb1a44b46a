"""Which tools are others without a word of their upstream: approved, or found to be others.

What an upstream says itself reaches its listeners on another way.
"""

from collections.abc import AsyncGenerator

from meshd.protocol import jsonrpc
from meshd.services.directory import ConnectionRow, Directory
from meshd.services.tools import Tools
from meshd.services.upstreams import TOOLS_CHANGED

LOOK = 60.0
"""Seconds after which it is looked although nothing was told."""
OTHER_TOOLS = jsonrpc.notification(TOOLS_CHANGED)
"""What is told; known by its identity from the same words of an upstream."""


class ListNews:
    """Tells who listens to a connection."""

    def __init__(self, directory: Directory, tools: Tools) -> None:
        self._directory = directory
        self._tools = tools
        tools.on_other_tools(lambda _row: directory.news.ring())

    async def listen(self, row: ConnectionRow) -> AsyncGenerator[bytes, None]:
        """`OTHER_TOOLS`, each time; for ever, or until the connection is gone."""
        shown = self._shown(row)
        while True:
            heard = self._directory.news.rung
            now = self._directory.view.connections.get(row.id)
            if now is None:
                return
            before, shown = shown, self._shown(now)
            if before[0] is not None and before[0] != shown[0] and before[1] == shown[1]:
                yield OTHER_TOOLS
            await self._directory.news.wait(LOOK, heard)

    def _shown(self, row: ConnectionRow) -> tuple[bytes | None, int]:
        """What is listed, and what its upstream had said of changes when it was asked."""
        listed = self._tools.approved(row)
        return listed.raw if listed is not None else None, self._tools.changes_heard(row)

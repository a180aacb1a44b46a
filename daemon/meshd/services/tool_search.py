"""Finding tools by words."""

from collections.abc import Sequence
from typing import NamedTuple


class Entry(NamedTuple):
    """What of a tool is searched."""

    name: str
    title: str | None
    description: str
    parameters: tuple[str, ...]
    connection: str


class ToolIndex:
    """The tools of one list."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries

    def search(self, query: str, limit: int) -> list[str]:
        """The names of at most `limit` tools that hold the query."""
        found = (one.name for one in self._entries if query in one.name + one.description)
        return list(found)[:limit]

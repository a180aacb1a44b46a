"""Items on their way from one thread to the screen."""

from threading import Condition
from typing import Any

Item = dict[str, Any]

ROOM = 20_000
"""Items that may wait. When it is full the thread waits too, and through it the daemon, so that
a burst is slowed down and not cut short."""


class Inbox:
    """Filled item by item, taken all at once."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._items: list[Item] = []
        self._changed = Condition()
        self._open = True

    def put(self, *items: Item) -> bool:
        """Add items once there is room; whether it was empty, so that somebody should be told."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._items) < self._room or not self._open)
            first = not self._items
            self._items += items
            return first and bool(items)

    def take(self) -> list[Item]:
        """Everything that waits, oldest first."""
        with self._changed:
            items, self._items = self._items, []
            self._changed.notify_all()
            return items

    def close(self) -> None:
        """Let a thread go on that waits for room."""
        with self._changed:
            self._open = False
            self._changed.notify_all()

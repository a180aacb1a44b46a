"""Open event streams: how many one key may hold, and the end of all when the daemon stops."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from meshd.wire.errors import TooMany, Unavailable

MAX_STREAMS = 64
"""Event streams that one key may hold open."""


class OpenStreams:
    """Knows the task behind each stream, by whose key it was opened."""

    def __init__(self, most: int = MAX_STREAMS) -> None:
        self._most = most
        self._tasks: dict[str, set[asyncio.Task[object]]] = {}
        self._ended = False

    def __len__(self) -> int:
        return sum(map(len, self._tasks.values()))

    @contextmanager
    def one(self, holder: str) -> Iterator[None]:
        """The current task serves a stream of `holder`'s.

        Raises:
            TooMany: it holds as many as it may.
            Unavailable: the daemon is stopping.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a request is always served by a task
        if self._ended:
            raise Unavailable("the daemon is stopping")
        mine = self._tasks.setdefault(holder, set())
        if len(mine) >= self._most:
            raise TooMany(f"this key holds {self._most} event streams open already")
        mine.add(task)
        try:
            yield
        finally:
            mine.discard(task)
            if not mine:
                self._tasks.pop(holder, None)

    def end(self) -> None:
        """End every stream, and open none any more: they never end by themselves."""
        self._ended = True
        for tasks in self._tasks.values():
            for task in tasks:
                task.cancel()

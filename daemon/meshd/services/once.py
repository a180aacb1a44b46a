"""One question at a time: whoever asks while it is under way waits for the same answer."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from meshd.core.tasks import TaskGroup
from meshd.wire.errors import MeshError, UpstreamTimeout

Answer = TypeVar("Answer")


class Once(Generic[Answer]):
    """Questions under way, each by its key. An asker that goes away ends none of them."""

    def __init__(self, owner: str) -> None:
        self._tasks = TaskGroup(owner)
        self._asking: dict[Hashable, asyncio.Task[Answer | MeshError]] = {}

    def begin(
        self, key: Hashable, ask: Callable[[], Awaitable[Answer]]
    ) -> "asyncio.Task[Answer | MeshError]":
        """Ask, unless that is under way; what fails is its answer."""
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = self._tasks.start(str(key), self._ask(key, ask))
        return task

    async def ask(
        self, key: Hashable, ask: Callable[[], Awaitable[Answer]], *, within: float
    ) -> Answer:
        """The answer, waited for at most `within` seconds; the question goes on without us.

        Raises:
            UpstreamTimeout: it took longer.
            MeshError: whatever the question failed with.
        """
        task = self.begin(key, ask)
        try:
            async with asyncio.timeout(within):
                answer = await asyncio.shield(task)
        except TimeoutError:
            raise UpstreamTimeout(f"there was no answer within {within:.0f} s") from None
        if isinstance(answer, MeshError):
            raise answer
        return answer

    async def _ask(self, key: Hashable, ask: Callable[[], Awaitable[Answer]]) -> Answer | MeshError:
        try:
            return await ask()
        except MeshError as error:
            return error
        finally:
            del self._asking[key]

    async def stop(self) -> None:
        """End what is under way."""
        await self._tasks.stop()

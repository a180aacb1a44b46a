"""What wakes those who wait for a change. Who follows what, and reads it, is theirs to know."""

import asyncio
from collections.abc import Callable


class Bell:
    """Wakes those who follow something. Polling stays the truth; this only makes it prompt."""

    def __init__(self) -> None:
        self.rung = 0
        self._waiting: set[asyncio.Event] = set()
        self._calls: list[Callable[[], None]] = []

    def on_ring(self, call: Callable[[], None]) -> None:
        """Call it at every ring."""
        self._calls.append(call)

    def ring(self) -> None:
        """Wake everyone who waits."""
        self.rung += 1
        for call in self._calls:
            call()
        for waiting in self._waiting:
            waiting.set()

    async def wait(self, seconds: float, heard: int | None = None) -> None:
        """Until the next ring, at most so long; not at all if it rang since `rung` was `heard`."""
        if heard is not None and heard != self.rung:
            return
        mine = asyncio.Event()
        self._waiting.add(mine)
        try:
            async with asyncio.timeout(seconds):
                await mine.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(mine)

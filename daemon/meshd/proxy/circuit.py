"""When an HTTP upstream that failed may be asked again, and when it is probed.

What counts are failures of the transport, in a row: not what the server answered. As long as it is
gone, one task probes it, quickly at first: most are only being restarted. Who has sent nothing yet
waits that moment; after it, everybody fails at once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from math import ceil

from meshd.core.tasks import TaskGroup
from meshd.proxy.backoff import Backoff
from meshd.wire.errors import MeshError, UpstreamFailed

OPENS_AT = 5
"""Failures in a row, of calls and probes, from which on calls are held back."""
RESTART = 2.0
"""Seconds for which a server that was there before may be gone without anybody being refused."""
GLANCE = 0.025
"""Seconds between two probes in that time."""

Probe = Callable[[], Awaitable[None]]
"""Reaches for the server. Raises MeshError where it is not there."""


class Circuit:
    """Of one upstream. `clock` and `pause` count seconds."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_return: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_return` is called when a probe found the server again."""
        self._tasks = TaskGroup("circuit")
        self._closed = False
        self._clock = clock
        self._pause = pause
        self._on_return = on_return
        self._backoff = Backoff(clock)
        self._failures = 0
        self._known = False
        self._since = 0.0
        self._error: MeshError | None = None
        self._turn = asyncio.Event()

    @property
    def failing(self) -> bool:
        """Whether the last thing that was tried failed."""
        return self._failures > 0

    @property
    def open(self) -> bool:
        """Whether calls are held back."""
        return self._failures >= OPENS_AT

    @property
    def next_probe(self) -> float | None:
        """Seconds until the server is probed again; None while calls pass."""
        return self._backoff.left if self.open else None

    def reached(self) -> None:
        """The server answered, whatever it said."""
        self._known = True
        if self._failures:
            self._failures = 0
            self._error = None
            self._backoff = Backoff(self._clock)
            self._turn.set()

    def failed(self, error: MeshError, probe: Probe) -> None:
        """The server could not be reached, or broke off."""
        self._failures += 1
        self._error = error
        if self._failures == 1:
            self._since = self._clock()
            self._turn = asyncio.Event()
            if not self._closed:
                self._tasks.start("probe", self._look_for_it(probe))

    async def admit(self) -> None:
        """Return when a request may be sent.

        Raises:
            UpstreamFailed: the server is gone; when it is probed next.
        """
        if self.open:
            await self.returned()

    async def returned(self) -> None:
        """Wait for the server to be there again; it may go once more before that is noticed.

        Raises:
            UpstreamFailed: it is not, by the time in which one is restarted.
        """
        latest = self._clock() + RESTART
        while self.failing and (left := min(latest, self._restart_ends) - self._clock()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._turn.wait()
            except TimeoutError:
                break
        if self._error is not None:
            raise self._refusal(self._error)

    async def close(self) -> None:
        """Probe no more."""
        self._closed = True
        await self._tasks.stop()

    def _refusal(self, error: MeshError) -> UpstreamFailed:
        left = self._backoff.left
        facts = {
            "state": "failing: calls are held back until it is there again",
            "next try": f"in {left:.1f} s", "retry_after_s": str(max(1, ceil(left))),
        }  # fmt: skip
        return UpstreamFailed.gone(
            error.message, sent=False, next=error.next, facts=error.facts | facts
        )

    @property
    def _restart_ends(self) -> float:
        return self._since + RESTART if self._known else self._since

    async def _look_for_it(self, probe: Probe) -> None:
        turn = self._turn
        while self.failing and turn is self._turn:  # else another looks for it since
            try:
                await probe()
            except MeshError as error:
                if not self.failing or turn is not self._turn:
                    return  # a request reached it meanwhile
                self._failures += 1
                self._error = error
                if self._clock() < self._restart_ends:
                    await self._pause(GLANCE)
                else:
                    self._backoff.failed(error)
                    await self._pause(self._backoff.left)
            else:
                self.reached()
                self._on_return()

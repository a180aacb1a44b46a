"""Watches that the event loop turns: a stall is logged with the place where it hangs."""

import asyncio
import logging
import sys
import threading
import traceback
from types import FrameType, TracebackType
from typing import Self

from meshd.core.clock import Clock
from meshd.core.process import notify

log = logging.getLogger(__name__)

BEAT = 0.25
STALL = 1.0
"""Seconds without a turn of the loop that are worth a line in the log."""
DEEPEST = 20
"""Frames that are shown, innermost last."""


class Watchdog:
    """The loop beats, a thread listens; while the loop turns, the service manager is told."""

    def __init__(self, clock: Clock, notify_address: str = "") -> None:
        self._notify_address = notify_address
        self._clock = clock
        self._beat = clock.monotonic()
        self._ended = threading.Event()
        self._watched = threading.get_ident()
        self._timer: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    async def __aenter__(self) -> Self:
        self._turn()
        self._thread.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.to_thread(self._thread.join)

    def _turn(self) -> None:
        self._beat = self._clock.monotonic()
        self._timer = asyncio.get_running_loop().call_later(BEAT, self._turn)

    def _watch(self) -> None:
        stalled_at = told_at = 0.0
        while not self._ended.wait(BEAT):
            now, beat = self._clock.monotonic(), self._beat
            if now - beat > STALL:
                if beat != stalled_at:
                    stalled_at = beat
                    _report(now - beat, sys._current_frames().get(self._watched))  # noqa: SLF001 - the way to another thread's stack
            elif now - told_at >= STALL:
                told_at = now
                notify(self._notify_address, "WATCHDOG=1")


def _report(seconds: float, frame: FrameType | None) -> None:
    log.warning("the event loop has stood still for %.1f s; it is in:", seconds)
    for place in traceback.extract_stack(frame)[-DEEPEST:]:
        log.warning("  %s:%s in %s", place.filename, place.lineno, place.name)

"""Requests in flight at a stdio server: who waits for an answer, and for how long yet."""

import asyncio
from collections.abc import Callable, Mapping

from meshd.protocol.jsonrpc import Reply
from meshd.wire.errors import MeshError, UpstreamTimeout


class Call:
    """A request that was sent and not yet answered. The first outcome counts, others are ignored.

    Outcomes are values, also the errors: the waiter may have left, and then nobody would take an
    exception.
    """

    __slots__ = (
        "_began", "_ceiling", "_idle", "_loop", "due", "on_notification", "outcome", "token", "what"
    )  # fmt: skip

    def __init__(
        self,
        what: str,
        *,
        token: bytes | None,
        on_notification: Callable[[bytes], None] | None,
        idle: float | None,
        ceiling: float | None,
    ) -> None:
        """Start waiting: `idle` seconds from the last sign of life, `ceiling` seconds in all."""
        self.what = what
        self.token = token
        """The caller's own progress token, as JSON."""
        self.on_notification = on_notification
        self._loop = loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[Reply | MeshError] = loop.create_future()
        self._began = loop.time()
        self._idle = idle
        self._ceiling = None if ceiling is None else self._began + ceiling
        self.due: float | None = None
        """When it is too late, by the time of the loop; None is never."""
        self.renew()

    def renew(self) -> None:
        """The server showed that it works on it: the idle deadline starts anew."""
        if self._idle is None:
            self.due = self._ceiling
        else:
            due = self._loop.time() + self._idle
            self.due = due if self._ceiling is None else min(due, self._ceiling)

    def settle(self, outcome: Reply | MeshError) -> None:
        """Tell the waiter how it went."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def expire(self) -> None:
        """Tell the waiter that it took too long."""
        waited = self._loop.time() - self._began
        self.settle(UpstreamTimeout(f"{self.what} was not answered within {waited:.3g} s"))


class Deadlines:
    """One timer for all the calls in a table: one for each would cost as much as sending it.

    The timer is set for the first that is due. A call that ends or is renewed leaves it alone; it
    then fires for nothing, and is set anew.
    """

    def __init__(self, calls: Mapping[bytes, Call]) -> None:
        self._calls = calls
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, call: Call) -> None:
        """See to it that `call`, which is in the table, ends in time."""
        if call.due is not None and (self._timer is None or call.due < self._timer.when()):
            self._set(call.due)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, due: float) -> None:
        self.close()
        self._timer = asyncio.get_running_loop().call_at(due, self._check)

    def _check(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        ahead = []
        for call in self._calls.values():
            if call.due is None or call.outcome.done():
                continue
            if call.due <= now:
                call.expire()
            else:
                ahead.append(call.due)
        if ahead:
            self._set(min(ahead))

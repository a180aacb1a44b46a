"""What is known of one key of the pool: its server, its start under way, its past."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from meshd.core.redact import redact_text
from meshd.proxy.backoff import Backoff
from meshd.proxy.stdio import StdioUpstream
from meshd.proxy.stdio_talk import StdioTalk
from meshd.wire.errors import MeshError

State = Literal["running", "starting", "resting", "failing"]
"""`resting` has no process and gets one with the next call; `failing` is not tried again yet."""


class Start:
    """A start under way. Its outcome is a value, also an error: the waiters may all have left."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[StdioUpstream | MeshError] = (
            asyncio.get_running_loop().create_future()
        )
        self.task: asyncio.Task[None] | None = None

    def finish(self, outcome: StdioUpstream | MeshError) -> None:
        """Tell the waiters; the first outcome counts."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class Quiet:
    """How long a server has been without use. Looked at from time to time, it costs calls nothing.

    Use is a request in flight, a stream that is held open, or a request since the last look.
    """

    def __init__(self) -> None:
        self._asked = -1
        self._since = 0.0

    def seconds(self, talk: StdioTalk, now: float) -> float:
        """Seconds since the look that first saw it as quiet as it is now."""
        if talk.asked != self._asked or talk.in_flight or talk.held:
            self._asked, self._since = talk.asked, now
        return now - self._since


@dataclass(frozen=True, slots=True)
class Standing:
    """A key as `connection show` and `daemon show` tell of it."""

    key: str
    state: State
    pid: int | None
    """Also that of the process group."""
    age: float | None
    """Seconds since it was started."""
    in_flight: int
    restarts: int
    last_exit: str | None
    """Why the process before ended, or the last start failed."""


class Slot:
    """One key of the pool, for one revision of what it names."""

    def __init__(
        self, revision: str, clock: Callable[[], float], before: "Slot | None" = None
    ) -> None:
        self.revision = revision
        self.backoff = Backoff(clock)
        self.before = before
        """The slot of another revision, until nothing of it runs any more."""
        self.upstream: StdioUpstream | None = None
        self.dead: StdioUpstream | None = None
        """The server before, until its process is surely gone."""
        self.start: Start | None = None
        self.suspect = False
        """Whether the machine slept since the server was last heard of."""
        self.welcome = b""
        """What the server last said of itself, as an `initialize` result."""
        self.probe = True
        """Whether the server bears to be asked which era it speaks."""
        self.quiet = Quiet()
        self.idle = 0.0
        """Seconds without use after which it is stopped; 0 is never."""
        self.starts = 0
        self._clock = clock
        self._ready = 0.0
        self._greeted = 0
        self.last_exit: str | None = None

    @property
    def state(self) -> State:
        """What a caller finds."""
        if self.start is not None:
            return "starting"
        if self.upstream is not None and self.upstream.alive:
            return "starting" if self.suspect else "running"
        return "failing" if self.backoff.waits else "resting"

    def began(self, upstream: StdioUpstream) -> None:
        """A server started: whatever was thought of the one before does not hold for it."""
        self.upstream = upstream
        self.suspect = False
        self.quiet = Quiet()
        self.welcome = upstream.initialize_result
        self.probe = upstream.probed
        self.starts += 1
        self._ready, self._greeted = self._clock(), upstream.talk.answered

    def bury(self) -> None:
        """Note the end of a server that ended by itself."""
        dead = self.upstream
        if dead is not None and dead.reason is not None and dead.ended_at is not None:
            self.backoff.died(
                dead.reason, born=dead.child.started_at, at=dead.ended_at, ready=self._ready,
                answered=dead.talk.answered > self._greeted,
            )  # fmt: skip
            self.note_exit(dead.reason)
            self.dead, self.upstream = dead, None

    def note_exit(self, error: MeshError) -> None:
        """Keep why a process ended or did not start; the words may be the server's own."""
        self.last_exit = redact_text(error.message[:4096])[:300]

    def lay_down(self, why: str) -> StdioUpstream | None:
        """Part with a live server that nobody needs now; the caller stops it."""
        self.dead, self.upstream, self.last_exit = self.upstream, None, why
        return self.dead

    def standing(self, key: str, now: float) -> Standing:
        """How things stand."""
        self.bury()
        upstream = self.upstream
        return Standing(
            key=key,
            state=self.state,
            pid=upstream.child.pid if upstream is not None else None,
            age=now - upstream.child.started_at if upstream is not None else None,
            in_flight=upstream.talk.in_flight if upstream is not None else 0,
            restarts=max(0, self.starts - 1),
            last_exit=self.last_exit,
        )

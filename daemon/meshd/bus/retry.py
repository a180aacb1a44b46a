"""What follows from how an attempt went: done, tried again and when, or given up. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from meshd.core.clock import MICROSECONDS

ATTEMPTS = 20
LONGEST_PAUSE = 3600.0
JITTER = 0.2
CRASHES = 3
"""How often an attempt may end with the daemon before the delivery is taken for its cause."""
DEFERRED_FOR = 24 * 3600 * MICROSECONDS
"""For how long a target may put a delivery off without using up attempts."""

Kind = Literal["delivered", "failed", "deferred", "hopeless", "gone", "refused"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt went.

    `deferred`: the target asks for another try in `after` seconds. `hopeless`: no try can succeed.
    `gone`: nor any other delivery there. `refused`: by us, who may not do it any more.
    """

    kind: Kind
    error: str | None = None
    status: int | None = None
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Tried:
    """What is known of a delivery whose attempt ended. Moments in microseconds."""

    attempt: int
    deferred_since: int | None = None


@dataclass(frozen=True, slots=True)
class Next:
    """What becomes of it; `pauses` says that its subscription stops here."""

    state: Literal["ready", "done", "dead"]
    available_at: int | None
    attempt: int
    deferred_since: int | None = None
    pauses: bool = False


def pause_after(attempt: int, jitter: float) -> float:
    """Seconds between an attempt (from 1) and the next: 1 s · 2ⁿ, at most an hour, ±20 %.

    `jitter` is from 0 to 1.
    """
    plain = min(2.0 ** min(attempt - 1, 30), LONGEST_PAUSE)
    return plain * (1 - JITTER + 2 * JITTER * jitter)


def settle(outcome: Outcome, tried: Tried, now: int, jitter: Callable[[], float]) -> Next:
    """What becomes of a delivery after an attempt."""
    attempt = tried.attempt
    if outcome.kind == "delivered":
        return Next("done", None, attempt)
    if outcome.kind in {"hopeless", "gone"}:
        return Next("dead", None, attempt, pauses=outcome.kind == "gone")
    if outcome.kind == "refused":
        return Next("ready", now, attempt - 1, tried.deferred_since, pauses=True)
    if outcome.kind == "deferred":
        since = now if tried.deferred_since is None else tried.deferred_since
        again = now + round(outcome.after * MICROSECONDS)
        if again - since <= DEFERRED_FOR:
            return Next("ready", again, attempt - 1, since)
    if attempt >= ATTEMPTS:
        return Next("dead", None, attempt)
    again = now + round(pause_after(attempt, jitter()) * MICROSECONDS)
    return Next("ready", again, attempt, tried.deferred_since)

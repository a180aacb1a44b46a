"""Deliveries in the database: claimed with a lease and a fence, and ended by who holds it alone."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from meshd.bus.retry import Next, Outcome
from meshd.core.clock import MICROSECONDS, Clock
from meshd.core.redact import redact_text
from meshd.store.db import Row, Step
from meshd.store.scoped import ScopedDatabase

LEASE = 90 * MICROSECONDS
MAX_ERROR = 512
"""Characters of an error that are kept."""
WINDOW = 50
"""Deliveries of a subscription that one claim looks at, the longest due first, or as many as it may
take. To find a line of so many takes SQLite some four milliseconds, once."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that is ours until its lease runs out. `event` is the stored row."""

    id: str
    org: str
    subscription: str
    attempt: int
    fence: int
    crashes: int
    deferred_since: int | None
    event: Row


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt that ended; times in microseconds."""

    claim: Claim
    outcome: Outcome
    next: Next
    started_at: int
    duration_us: int


Told = Callable[[Sequence[Ended], int], Sequence[Step]]
"""What else belongs into the unit that ends attempts, at that moment. It runs after they ended, and
also where the lease of one was lost: such a step has to see for itself what became of it."""


class Queue:
    """What waits, for every org. `owner` is this process's, another at every start.

    The daemons of one database must agree on `clock`, or their leases do not hold; `look`, where it
    is given, makes that so, and is called before anything is found due.
    """

    def __init__(
        self,
        db: ScopedDatabase,
        clock: Clock,
        owner: str,
        told: Told = lambda *_: (),
        look: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._owner = owner
        self._told = told
        self._look = look
        self.lined_up = 0
        """Deliveries that were found to stand behind another of their key."""

    async def release_orphans(self) -> int:
        """Free what a killed daemon had, where no other daemon can have it: in a file."""
        if self._db.dialect != "sqlite":
            return 0
        row = {"now": self._clock.now(), "lease_owner": self._owner}
        return len((await self._db.write(Step("delivery.orphans", row)))[0])

    async def due(self) -> Mapping[str, int]:
        """When the next delivery of each subscription may be claimed, by its id."""
        if self._look is not None:
            await self._look()
        rows = await self._db.all("delivery.due")
        return {row["subscription_id"]: row["available_at"] for row in rows}

    async def claim(self, org: str, wanted: Mapping[str, int]) -> list[Claim]:
        """Take what is due for subscriptions of an org, at most so many of each.

        It looks at a few at a time: whoever sees `lined_up` grow may find more the next time.
        """
        now = self._clock.now()
        row = {"now": now, "until": now + LEASE, "lease_owner": self._owner}
        db = self._db.org(org)
        steps: list[Step] = []
        for one, limit in wanted.items():
            mine = {**row, "subscription": one, "limit": limit, "window": max(limit, WINDOW)}
            steps += (
                Step("delivery.line_up", {**mine, "window": WINDOW}),
                Step("delivery.claim", mine),
            )
        answers = await db.write(*steps)
        self.lined_up += sum(map(len, answers[::2]))
        rows = [row for rows in answers[1::2] for row in rows]
        if not rows:
            return []
        seqs = json.dumps(sorted({row["event_seq"] for row in rows}))
        events = {row["seq"]: row for row in await db.all("event.some", seqs=seqs)}
        return [
            Claim(
                row["id"], org, row["subscription_id"], row["attempt"], row["fence"],
                row["crashes"], row["deferred_since"], events[row["event_seq"]],
            )
            for row in sorted(rows, key=lambda row: int(row["event_seq"]))
            if row["event_seq"] in events  # else its org was removed meanwhile, and the row is gone
        ]  # fmt: skip

    async def extend(self, claims: Sequence[Claim]) -> None:
        """Renew the leases of what is still worked on."""
        by_org: dict[str, list[Claim]] = {}
        for claim in claims:
            by_org.setdefault(claim.org, []).append(claim)
        until = self._clock.now() + LEASE
        for org, mine in by_org.items():
            steps = [
                Step("delivery.extend", {"id": one.id, "fence": one.fence, "until": until})
                for one in mine
            ]
            await self._db.org(org).write(*steps)

    async def end(self, ended: Sequence[Ended]) -> int:
        """Write how attempts of one org went; how many leases were lost meanwhile.

        Whoever claimed such a delivery since decides on it: nothing is written again, nor is it of
        what somebody ended while it was tried, which is no lease that was lost.
        """
        attempts, now = [_attempt(one) for one in ended], self._clock.now()
        held, *_ = await self._db.org(ended[0].claim.org).write(
            Step("delivery.held", {"ids": json.dumps([one.claim.id for one in ended])}),
            _ending([_end(one, now) for one in ended]),
            Step("delivery.attempted", {"ended": _array(attempts), "daemon": self._owner}),
            *self._told(ended, now),
        )
        fences = {row["id"]: row["fence"] for row in held}
        return sum(fences.get(one.claim.id) != one.claim.fence for one in ended)

    async def release(self, claims: Sequence[Claim]) -> None:
        """Give back what was not tried to its end; the attempt does not count."""
        now = self._clock.now()
        by_org: dict[str, list[dict[str, Any]]] = {}
        for claim in claims:
            row = {
                "id": claim.id, "fence": claim.fence, "state": "ready", "available_at": now,
                "attempt": claim.attempt - 1, "deferred_since": claim.deferred_since,
                "error": None, "ended_at": None,
            }  # fmt: skip
            by_org.setdefault(claim.org, []).append(row)
        for org, rows in by_org.items():
            await self._db.org(org).write(_ending(rows))


def _end(ended: Ended, now: int) -> dict[str, Any]:
    claim, then = ended.claim, ended.next
    return {
        "id": claim.id, "fence": claim.fence, "state": then.state,
        "available_at": then.available_at, "attempt": then.attempt,
        "deferred_since": then.deferred_since, "error": kept_error(ended.outcome),
        "ended_at": None if then.state == "ready" else now,
    }  # fmt: skip


def _attempt(ended: Ended) -> dict[str, Any]:
    claim, outcome = ended.claim, ended.outcome
    return {
        "id": claim.id, "fence": claim.fence, "attempt": claim.attempt,
        "started_at": ended.started_at, "duration_us": ended.duration_us,
        "outcome": outcome.kind, "status": outcome.status, "error": kept_error(outcome),
    }  # fmt: skip


def _ending(rows: Sequence[Mapping[str, Any]]) -> Step:
    return Step("delivery.end", {"ended": _array(rows)})


def _array(rows: Sequence[Mapping[str, Any]]) -> str:
    return msgspec.json.encode(rows).decode()


def kept_error(outcome: Outcome) -> str | None:
    """What is kept of the error of an attempt, redacted."""
    return None if outcome.error is None else redact_text(outcome.error)[:MAX_ERROR]

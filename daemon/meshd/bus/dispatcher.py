"""The one loop that delivers: claims what is due in fair shares, hands it out, writes how it went.

What a delivery is and whether it is allowed is the business of the callables that it is given.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meshd.bus.circuit import Circuit
from meshd.bus.queue import Claim, Ended, Queue
from meshd.bus.retry import ATTEMPTS, CRASHES, Outcome, Tried, settle
from meshd.core.clock import MICROSECONDS, Clock
from meshd.core.tasks import TaskGroup
from meshd.store.db import StoreError
from meshd.wire.errors import MeshError

log = logging.getLogger(__name__)

POLL = 1.0
"""Seconds after which it looks although nothing was told."""
ATTEMPT = 60.0
"""Seconds that an attempt may take."""
HEARTBEAT = 30.0
LATE = 30.0
"""Seconds after which a claim is no longer begun with: a whole attempt would outlive its lease. So
it is when the machine slept, or the database was slow to say that the claim is ours."""
SET = 30.0
"""Seconds that the clock may be set forward by without a look at the leases: they last longer."""
DRAIN = 5.0
"""Seconds that attempts get to end when the daemon stops."""
AT_ONCE = 256
OF_AN_ORG = 32
OF_A_SUBSCRIPTION = 8
BATCH = 100
"""Attempts on their way: of all, of one org, of one subscription; and deliveries in a batch, which
is one attempt."""
BATCH_SIZE = 1 << 20
"""Characters of data in one batch, unless a single event has more."""
GAP = 0.005
"""Seconds between two looks, so that many events that come at once cost one."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Who hears events now. `batches`: several events are handed over at once."""

    id: str
    org: str
    batches: bool


Subscribers = Callable[[], Mapping[str, Subscriber]]
Deliver = Callable[[Sequence[Claim]], Awaitable[Sequence[Outcome]]]
"""Tries deliveries of one subscription; an outcome for each, in their order."""
Pause = Callable[[str, str], Awaitable[None]]
"""Stops a subscription, with the reason."""
Turned = Callable[[str, int], Coroutine[Any, Any, None]]
"""Hears of a subscription that is held back after so many failures, and, with none, of its end."""


class Dispatcher:
    """Delivers until it is stopped. `wake` makes it look at once; polling is the truth."""

    def __init__(
        self, queue: Queue, subscribers: Subscribers, deliver: Deliver, pause: Pause, clock: Clock,
        turned: Turned | None = None,
    ) -> None:  # fmt: skip
        self._queue = queue
        self._subscribers = subscribers
        self._deliver = deliver
        self._pause = pause
        self._clock = clock
        self._turned = turned
        self._jitter = random.random
        self._wakes = asyncio.Event()
        self._tasks = TaskGroup("bus")
        self._circuits: dict[str, Circuit] = {}
        self._of_org: dict[str, int] = {}
        self._held: dict[tuple[str, int], Claim] = {}
        self._turn = 0
        self._ahead = 0.0
        self._loop: asyncio.Task[None] | None = None
        self._stopping = False
        self.lost = 0
        """Attempts that ended after their lease."""
        self.attempts = Counter[str]()
        """Attempts by what became of their delivery: `done`, `dead`, or `ready` once more."""

    def wake(self) -> None:
        """Something may be due."""
        self._wakes.set()

    @property
    def under_way(self) -> int:
        """Deliveries that are being tried."""
        return len(self._held)

    def is_held_back(self, subscription: str) -> bool:
        """Whether its subscriber fails so that it is only probed."""
        circuit = self._circuits.get(subscription)
        return circuit is not None and circuit.open

    def start(self) -> None:
        """Begin; to be called once what deliveries need is there."""
        self._tasks.start("heartbeat", self._beat())
        self._loop = self._tasks.start("loop", self._run())

    async def _run(self) -> None:
        released = False
        while not self._stopping:
            self._wakes.clear()
            wait = POLL
            try:
                if not released:
                    await self._queue.release_orphans()
                    released = True
                wait = await self.pump()
            except (StoreError, MeshError) as error:
                log.warning("deliveries could not be claimed: %s", error)
            except Exception:
                log.exception("deliveries could not be claimed")  # the next round may do better
            await asyncio.sleep(GAP)
            try:
                async with asyncio.timeout(wait):
                    await self._wakes.wait()
            except TimeoutError:
                pass

    async def pump(self) -> float:
        """Begin what may begin now; seconds until the next is due, at most `POLL`."""
        due, subscribers = await self._queue.due(), self._subscribers()
        now = self._clock.now()
        await self._keep_what_is_held(now)
        waiting: dict[str, list[Subscriber]] = {}
        soonest = POLL
        for one, available_at in due.items():
            subscriber = subscribers.get(one)
            if subscriber is None:
                continue
            if available_at <= now:
                waiting.setdefault(subscriber.org, []).append(subscriber)
            else:
                soonest = min(soonest, (available_at - now) / MICROSECONDS)
        self._forget(subscribers)
        orgs = sorted(waiting)
        self._turn += 1
        for place in range(len(orgs)):
            org = orgs[(place + self._turn) % len(orgs)]
            if not self._stopping:
                await self._claim(org, waiting[org])
        return max(soonest, 0.0)

    async def stop(self) -> None:
        """Claim nothing more; what is under way gets its time, and what is not done goes back."""
        self._stopping = True
        end = asyncio.get_running_loop().time() + DRAIN
        self.wake()
        if self._loop is not None:  # what it is just claiming is to be known here
            await asyncio.wait({self._loop}, timeout=DRAIN)
        while self._held and asyncio.get_running_loop().time() < end:
            self._wakes.clear()
            try:
                async with asyncio.timeout_at(end):
                    await self._wakes.wait()
            except TimeoutError:
                break
        left = list(self._held.values())
        await self._tasks.stop()
        try:
            await self._queue.release(left)
        except StoreError as error:
            log.warning("%d deliveries wait for their lease to run out: %s", len(left), error)

    async def _claim(self, org: str, subscribers: list[Subscriber]) -> None:
        room = min(AT_ONCE - self._attempts, OF_AN_ORG - self._of_org.get(org, 0))
        wanted: dict[str, int] = {}
        now = self._clock.monotonic()
        shift = self._turn % len(subscribers)
        for one in subscribers[shift:] + subscribers[:shift]:
            limit = BATCH if one.batches else OF_A_SUBSCRIPTION
            circuit = self._circuits.setdefault(one.id, Circuit(limit))
            take = circuit.room(now) if one.batches else min(circuit.room(now), room)
            if take > 0 and room > 0:
                wanted[one.id] = take
                room -= 1 if one.batches else take
        if not wanted:
            return
        lined_up = self._queue.lined_up
        claims = await self._queue.claim(org, wanted)
        if self._queue.lined_up > lined_up:
            self.wake()  # more may be due behind those that it passed over
        if self._clock.monotonic() - now > LATE:
            log.warning("%d deliveries were claimed too slowly, and are given back", len(claims))
            await self._queue.release(claims)
            return
        batches = {one.id for one in subscribers if one.batches}
        by_subscription: dict[str, list[Claim]] = {}
        for claim in claims:
            by_subscription.setdefault(claim.subscription, []).append(claim)
        for subscription, mine in by_subscription.items():
            self._circuits[subscription].begin(now, len(mine))
            for batch in _batches(mine, together=subscription in batches):
                self._hold(batch)
                self._tasks.start(f"deliver {batch[0].id}", self._try(batch))

    def _hold(self, batch: list[Claim]) -> None:
        for claim in batch:
            self._held[claim.id, claim.fence] = claim
        org = batch[0].org
        self._of_org[org] = self._of_org.get(org, 0) + 1

    async def _try(self, batch: list[Claim]) -> None:
        started_at, begun = self._clock.now(), time.perf_counter()
        outcomes = await self._outcomes(batch)
        took = round((time.perf_counter() - begun) * 1_000_000)
        now = self._clock.now()
        ended = [
            Ended(
                claim, outcome,
                settle(outcome, Tried(claim.attempt, claim.deferred_since), now, self._jitter),
                started_at, took,
            )
            for claim, outcome in zip(batch, outcomes, strict=True)
        ]  # fmt: skip
        self.attempts.update(one.next.state for one in ended)
        try:
            for one in ended:
                if one.next.pauses:
                    await self._pause(one.claim.subscription, one.outcome.error or "")
            self.lost += await self._queue.end(ended)
        except (StoreError, MeshError) as error:
            log.warning("how %d attempts ended is not written: %s", len(ended), error)
        finally:
            self._let_go(batch, outcomes)
            self.wake()

    async def _outcomes(self, batch: list[Claim]) -> Sequence[Outcome]:
        first = batch[0]
        if first.crashes > CRASHES or first.attempt > ATTEMPTS:
            return [Outcome("hopeless", "poison: the daemon ended during its attempts")]
        try:
            async with asyncio.timeout(ATTEMPT):
                return await self._deliver(batch)
        except TimeoutError:
            return [Outcome("failed", f"no answer within {ATTEMPT:.0f} s")] * len(batch)
        except Exception as error:  # whatever it is, the delivery is tried again
            log.exception("a delivery failed")
            return [Outcome("failed", type(error).__name__)] * len(batch)

    def _let_go(self, batch: list[Claim], outcomes: Sequence[Outcome]) -> None:
        subscription = batch[0].subscription
        circuit = self._circuits.get(subscription)
        was_open = circuit is not None and circuit.open
        for claim, outcome in zip(batch, outcomes, strict=True):
            self._held.pop((claim.id, claim.fence), None)
            if circuit is not None:
                circuit.end(reached=outcome.kind != "failed")
        if circuit is not None and circuit.open != was_open and self._turned is not None:
            told = self._turned(subscription, circuit.failures)
            self._tasks.start(f"tell {subscription}", told)
        org = batch[0].org
        self._of_org[org] -= 1
        if not self._of_org[org]:
            del self._of_org[org]

    @property
    def _attempts(self) -> int:
        return sum(self._of_org.values())

    def _forget(self, subscribers: Mapping[str, Subscriber]) -> None:
        for one in [one for one in self._circuits if one not in subscribers]:
            if not self._circuits[one].under_way:
                del self._circuits[one]

    async def _keep_what_is_held(self, now: int) -> None:
        """A clock that is set forward ends no lease of what is still being tried here."""
        ahead = now / MICROSECONDS - self._clock.monotonic()
        if self._held and ahead - self._ahead > SET:
            await self._queue.extend(list(self._held.values()))
        self._ahead = ahead

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            try:
                await self._queue.extend(list(self._held.values()))
            except StoreError as error:
                log.warning("leases could not be renewed: %s", error)


def _batches(claims: list[Claim], *, together: bool) -> list[list[Claim]]:
    """What is tried at once. What may have ended a daemon goes alone, and takes nothing along."""
    alone = [[one] for one in claims if not together or one.crashes > 1]
    batches: list[list[Claim]] = []
    size, ids = 0, set[str]()
    for one in (one for one in claims if together and one.crashes <= 1):
        size += len(one.event["data"])
        # Results come by id, and an id is unique within its source alone.
        if not batches or size > BATCH_SIZE or one.event["id"] in ids:
            batches.append([])
            size, ids = len(one.event["data"]), set()
        batches[-1].append(one)
        ids.add(one.event["id"])
    return [*alone, *batches]

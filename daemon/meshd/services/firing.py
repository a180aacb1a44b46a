"""Firing schedules: each slot once, with its event and its deliveries in one unit.

Many daemons may come to the same slot: who moves the schedule on from it has fired it, and whatever
the others began is undone. A daemon that is killed leaves the slot due, or fired whole.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from msgspec import Raw

from meshd.bus.cron import BadCron, BadZone, Cron
from meshd.bus.slots import Plan, plan
from meshd.core.clock import MICROSECONDS, Clock, iso
from meshd.services.directory import Directory
from meshd.services.events import Events
from meshd.services.makers import check_maker_afresh
from meshd.services.principal import the_daemon
from meshd.services.publishing import Publishing
from meshd.services.subscription_rows import read_maker
from meshd.store.db import ExpectFailed, Row, Step, StoreError, UniqueViolation
from meshd.store.scoped import ScopedDatabase
from meshd.wire.calls.event import PUBLISH
from meshd.wire.errors import Denied, MeshError, RateLimited, StorageFull
from meshd.wire.event import EventPublish, Published

log = logging.getLogger(__name__)

FAR = 3600.0
"""Seconds to wait where nothing is to come; who loops looks sooner."""
AGAIN = 1.0
"""Seconds until what could not be fired yet is looked at again."""
BATCH = 20
"""Slots that are made up for in one unit."""

Stop = Callable[[str, str, str], Awaitable[None]]
"""Pauses a schedule: its org, its id, the reason."""


class Firing:
    """Decides on what is due, and writes it."""

    def __init__(
        self,
        db: ScopedDatabase,
        directory: Directory,
        events: Events,
        publishing: Publishing,
        stop: Stop,
        clock: Clock,
    ) -> None:
        self._db = db
        self._directory = directory
        self._events = events
        self._publishing = publishing
        self._stop = stop
        self._clock = clock
        self._held: dict[str, int] = {}
        """The slot of each schedule that waits and was told of, until nothing is due."""

    async def fire_due(self) -> float:
        """Fire what is due; seconds until there is something to do.

        Raises:
            StoreError, Unavailable: the database does not answer; nothing is lost.
        """
        now = self._clock.now()
        soonest = await self._db.one("schedule.soonest")
        if soonest is None or soonest["next_at"] is None:
            return FAR
        if soonest["next_at"] > now:
            self._held.clear()
            return float((soonest["next_at"] - now) / MICROSECONDS)
        went_on, after = False, ""
        while rows := await self._db.all("schedule.due", now=now, after=after):
            after = rows[-1]["id"]
            for row in rows:
                went_on |= await self._alone(row, now)
        if went_on:
            self._events.bell.ring()
        return 0.0 if went_on else AGAIN

    async def run(self, row: Row) -> Published:
        """Fire one now, beside its slots, with the rights of its maker.

        Raises:
            Denied: the maker may not publish any more.
            RateLimited, StorageFull: the org publishes too much, or the disk is full.
        """
        now = self._clock.now()
        await check_maker_afresh(self._directory, read_maker(row), PUBLISH)
        slot = now | 1  # slots are whole seconds, so this is none
        fired = self._event(row, slot, 0)
        event = fired.params["id"]
        await self._db.org(row["org_id"]).write(
            Step("schedule.ran", {"id": row["id"], "event": event}, expect=1),
            fired,
            _fire(row, slot, now, "run", event=event),
        )
        self._events.bell.ring()
        return Published(
            id=event, type=row["type"], source=fired.params["source"], time=iso(now),
            deliveries=sum(len(step.rows or ()) for step in fired.also), duplicate=False,
        )  # fmt: skip

    async def _alone(self, row: Row, now: int) -> bool:
        """As `_settle`; one that cannot be read keeps nobody else from firing."""
        try:
            return await self._settle(row, now)
        except (StoreError, MeshError):
            raise
        except Exception:
            log.exception("schedule %s could not be fired", row["id"])
            await self._stop(row["org_id"], row["id"], "it cannot be read")
            return True

    async def _settle(self, row: Row, now: int) -> bool:
        """Do what is to be done about a schedule that is due; False if it has to wait."""
        slot = row["next_at"]
        if row["queued"] and await self._is_open(row["org_id"], row["last_event"]):
            return False  # asked each second: what follows costs a hundred times as much
        try:
            cron = Cron(row["cron"], row["zone"])
            planned = plan(cron, slot, now, row["misfire"], queued=bool(row["queued"]))
            await check_maker_afresh(self._directory, read_maker(row), PUBLISH)
        except (BadCron, BadZone) as error:
            await self._stop(row["org_id"], row["id"], str(error))
            return True
        except Denied as error:
            await self._stop(row["org_id"], row["id"], error.message)
            return True
        try:
            return await self._carry_out(row, planned, now)
        except StorageFull:
            return False
        except RateLimited as error:
            await self._tell_held(row, error)
            return False
        except ExpectFailed:
            return True  # another daemon was here, or somebody paused or removed it
        except UniqueViolation:
            await self._go_past(row, Plan((slot,), cron.next(slot)), now)
            return True

    async def _tell_held(self, row: Row, error: RateLimited) -> None:
        """Say once of a slot that it waits for the quota."""
        slot = row["next_at"]
        if self._held.get(row["id"]) == slot:
            return
        about = {"name": row["name"], "slot": iso(slot), "reason": error.message}
        step = self._events.step(the_daemon(row["org_id"]), "schedule.held", row["id"], about)
        await self._db.org(row["org_id"]).write(step)
        self._held[row["id"]] = slot
        self._events.bell.ring()

    async def _go_past(self, row: Row, alone: Plan, now: int) -> None:
        """Some slot was fired already, since the clock was set back: take the first one alone."""
        with suppress(ExpectFailed, RateLimited, StorageFull):
            try:
                await self._fire_all(row, alone, now)
            except UniqueViolation:
                await self._move(row, alone, alone.slots[0])

    async def _carry_out(self, row: Row, planned: Plan, now: int) -> bool:
        if not planned.slots:
            await self._move(
                row, planned, row["next_at"],
                _fire(row, row["next_at"], now, "missed", missed=planned.missed - 1),
                *self._told(row, planned),
            )  # fmt: skip
            return True
        at_once = BATCH if row["overlap"] == "allow" else 1
        last, missed, more = row["last_event"], planned.missed, planned.more
        for first in range(0, len(planned.slots), at_once):
            slots = planned.slots[first : first + at_once]
            rest = planned.slots[first + at_once :]
            if row["overlap"] != "allow" and await self._is_open(row["org_id"], last):
                passed = missed + len(rest)
                return await self._hold(row, planned, slots[0], passed, now)
            here = Plan(slots, rest[0] if rest else planned.next, missed, more)
            last = await self._fire_all(row, here, now)
            missed, more = 0, False
        return True

    async def _fire_all(self, row: Row, here: Plan, now: int) -> str:
        """Fire the slots of a plan in one unit; the id of the last event."""
        steps: list[Step] = []
        event = ""
        for place, slot in enumerate(here.slots):
            missed = 0 if place else here.missed
            try:
                fired = self._event(row, slot, missed)
            except RateLimited:
                if not place:
                    raise
                here = Plan(here.slots[:place], slot, here.missed, here.more)
                break  # those that the quota lets pass; who goes on from here finds the rest
            event = fired.params["id"]
            steps += (fired, _fire(row, slot, now, "fired", missed=missed, event=event))
        told = self._told(row, here) if here.missed or here.more else ()
        await self._move(row, here, here.slots[0], *steps, *told, event=event)
        return event

    async def _hold(self, row: Row, planned: Plan, slot: int, passed: int, now: int) -> bool:
        """The fire before is not delivered yet: let the slot wait, or pass over what is due."""
        if row["overlap"] == "queue":
            if not row["queued"] or slot != row["next_at"]:
                queue = Step("schedule.queue", {"id": row["id"], "slot": slot}, expect=1)
                await self._db.org(row["org_id"]).write(queue)
            return False
        fire = _fire(row, slot, now, "overlap", missed=passed)
        await self._move(row, planned, slot, fire)
        return True

    async def _move(
        self, row: Row, here: Plan, slot: int, *also: Step, event: str | None = None
    ) -> None:
        """Go on from a slot, with what belongs to it.

        Raises:
            ExpectFailed: somebody else did.
        """
        on = {"id": row["id"], "slot": slot, "next_at": here.next, "event": event}
        await self._db.org(row["org_id"]).write(Step("schedule.advance", on, expect=1), *also)

    def _told(self, row: Row, planned: Plan) -> Sequence[Step]:
        about = {
            "name": row["name"], "missed": planned.missed, "more": planned.more,
            "misfire": row["misfire"],
        }  # fmt: skip
        return (self._events.step(the_daemon(row["org_id"]), "schedule.missed", row["id"], about),)

    def _event(self, row: Row, slot: int, missed: int) -> Step:
        marks: dict[str, str | int | bool] = {"meshschedule": row["name"], "meshslot": iso(slot)}
        if missed:
            marks["meshmissed"] = missed
        asked = EventPublish(
            type=row["type"], subject=row["subject"], data=Raw(row["data"].encode()),
            extensions=marks,
        )  # fmt: skip
        return self._publishing.step(read_maker(row), asked)

    async def _is_open(self, org: str, event: str | None) -> bool:
        return event is not None and (
            await self._db.org(org).one("schedule.open", event=event) is not None
        )


def _fire(
    row: Row, slot: int, now: int, outcome: str, *, missed: int = 0, event: str | None = None
) -> Step:
    return Step("schedule.fire", {
        "id": row["id"], "slot": slot, "now": now, "outcome": outcome, "missed": missed,
        "event": event,
    })  # fmt: skip

"""Schedules: making, showing, pausing and removing them. When and how they fire is `firing`'s."""

import hashlib
import json
from itertools import islice
from typing import Any

from msgspec import Raw

from meshd.bus.cron import BadCron, BadZone, Cron
from meshd.core.clock import Clock, iso, iso_or_none
from meshd.services.access import decide_call
from meshd.services.bell import Bell
from meshd.services.cloud_event import check_event
from meshd.services.directory import Directory
from meshd.services.events import Events
from meshd.services.limits import MAX_LIMIT, check_limit
from meshd.services.lookup import unknown
from meshd.services.makers import check_goes_on, check_maker_afresh, check_taker
from meshd.services.own_only import check_own
from meshd.services.principal import Principal, the_daemon
from meshd.services.publishing import own_source
from meshd.services.refusals import denied_call
from meshd.services.subscription_rows import read_maker, stored_maker
from meshd.store.db import ExpectFailed, Row, Step, UniqueViolation
from meshd.store.scoped import ScopedDatabase
from meshd.wire.calls.event import PUBLISH
from meshd.wire.connection import Removed
from meshd.wire.errors import BadRequest, Conflict, Denied, TooLarge
from meshd.wire.event import EventPublish, Published
from meshd.wire.ids import new_id
from meshd.wire.names import check_name
from meshd.wire.schedule import (
    Fire,
    Schedule,
    ScheduleAdd,
    ScheduleDetail,
    ScheduleEdit,
    ScheduleList,
    ScheduleNext,
    SchedulePublish,
    ScheduleRemove,
)

PREFIX = "sch"
"""Of the ids of schedules."""
MAX_OF_AN_ORG = 1000
MAX_DATA = 64 * 1024
"""Bytes of what the events of a schedule say."""
SHOWN = 20
"""Slots that a schedule is shown with."""


class Schedules:
    """The rules of schedules. The `bell` rings when one is made or changed."""

    def __init__(
        self, db: ScopedDatabase, directory: Directory, events: Events, clock: Clock
    ) -> None:
        self.bell = Bell()
        self._db = db
        self._directory = directory
        self._events = events
        self._clock = clock

    async def all(self, who: Principal, asked: ScheduleList) -> list[Schedule]:
        """Those of the org, newest first. Raises BadRequest."""
        check_limit(asked.limit)
        rows = await self._db.org(who.org).all("schedule.all", limit=asked.limit)
        return [Schedule(**_columns(row)) for row in rows]

    async def show(self, who: Principal, name: str) -> ScheduleDetail:
        """One, by name or id, with its last slots. Raises NotFound."""
        row = await self.find(who, name)
        fires = await self._db.org(who.org).all("schedule.fires", id=row["id"], limit=SHOWN)
        return ScheduleDetail(
            **_columns(row), data=Raw(row["data"].encode()),
            fires=[
                Fire(
                    slot=iso(one["slot"]), at=iso(one["at"]), outcome=one["outcome"],
                    missed=one["missed"], event=one["event"],
                )
                for one in fires
            ],
        )  # fmt: skip

    async def next(self, who: Principal, asked: ScheduleNext) -> list[str]:
        """The next slots by the clocks of the zone; of a paused one, those if it went on now.

        Raises:
            BadRequest: there are too many.
            NotFound: there is no such schedule.
        """
        check_limit(asked.count)
        row = await self.find(who, asked.schedule)
        cron, now = _cron(row["cron"], row["zone"]), self._clock.now()
        first = row["next_at"] or cron.next(now)
        later = islice(cron.slots(max(first, now)), asked.count - 1)
        return [cron.shown(slot) for slot in (first, *later)]

    async def add(self, who: Principal, asked: ScheduleAdd) -> ScheduleDetail:
        """Publish an event at every slot from now on, as its maker.

        Raises:
            BadRequest, TooLarge: the name, event, pattern or zone is not valid, or never comes.
            Denied: the maker may not publish.
            Conflict: the name is taken, or there are too many.
        """
        name = check_name(asked.name, "schedule")
        made = new_id(PREFIX)
        try:
            await self._add(who, asked, made, name, None)
        except UniqueViolation:
            raise Conflict(
                f'a schedule "{name}" exists already', next=f"meshctl schedule show {name}"
            ) from None
        return await self.show(who, made)

    async def publish(self, who: Principal, asked: SchedulePublish) -> Published:
        """A schedule by what it publishes: one for each type, source, pattern and zone.

        What is there already stays as it is; if it rests, or its maker may not publish any more,
        it goes on as whoever asks. The answer has the schedule's id and its next slot.
        Raises as `add`.
        """
        pattern, source = " ".join(asked.cron.split()), own_source(who)
        cron = _cron(pattern, asked.tz)
        digest = hashlib.sha256(
            json.dumps([asked.type, source, pattern, asked.tz]).encode()
        ).hexdigest()
        made, duplicate = new_id(PREFIX), False
        whole = ScheduleAdd(
            name=f"cron-{made[-8:]}", type=asked.type, cron=pattern, tz=asked.tz,
            data=asked.data, subject=asked.subject,
        )  # fmt: skip
        try:
            await self._add(who, whole, made, whole.name, digest)
        except UniqueViolation:
            duplicate = True
        row = await self._published(who, digest)
        if duplicate and not await self._goes_on(row):
            await self._take_over(who, row, digest)
            row, duplicate = await self._published(who, digest), False
        return Published(
            id=row["id"], type=asked.type, source=source,
            time=iso(row["next_at"] or cron.next(self._clock.now())), deliveries=0,
            duplicate=duplicate,
        )  # fmt: skip

    async def pause(self, who: Principal, name: str) -> Schedule:
        """Let it rest. Raises as `own`."""
        row = await self.own(who, name)
        await self._turn(who, row, "paused", f"by {who.name}", None)
        return Schedule(**_columns(await self.find(who, row["id"])))

    async def resume(self, who: Principal, name: str) -> Schedule:
        """Go on with the next slot from now.

        Raises as `own`, BadRequest where it never comes, and Conflict where its maker may not
        publish any more.
        """
        row = await self.own(who, name)
        edit = f"meshctl schedule edit {row['name']}"
        await check_goes_on(self._directory, read_maker(row), PUBLISH, edit)
        following = _cron(row["cron"], row["zone"]).next(self._clock.now())
        await self._turn(who, row, "active", None, following)
        return Schedule(**_columns(await self.find(who, row["id"])))

    async def edit(self, who: Principal, asked: ScheduleEdit) -> Schedule:
        """Give it another owner, who can only be whoever asks; it goes on.

        Raises:
            NotFound: there is none.
            Denied: it is for somebody else, or the one who asks may not publish, or as `own`.
        """
        row = await self.own(who, asked.schedule)
        check_taker(self._directory, who, asked.owner, PUBLISH)
        same = own_source(read_maker(row)) == own_source(who)
        await self._take_over(who, row, row["published"] if same else None)
        return Schedule(**_columns(await self.find(who, row["id"])))

    async def stop(self, org: str, schedule: str, reason: str) -> None:
        """Pause one that cannot go on, on the daemon's own behalf."""
        who = the_daemon(org)
        row = await self._db.org(org).one("schedule.find", name=schedule, folded=schedule)
        if row is not None:
            await self._turn(who, row, "paused", reason, None)

    async def remove(self, who: Principal, asked: ScheduleRemove) -> Removed:
        """Remove one; what it fired is delivered all the same.

        Raises:
            NotFound: there is no such schedule.
            Denied: it is not `mine`, or as `own`.
        """
        name = asked.schedule
        row = await self.own(who, name)
        if asked.mine and own_source(read_maker(row)) != own_source(who):
            raise Denied(f"{who.name} did not make this schedule")
        try:
            await self._db.org(who.org).write(
                Step("schedule.remove", {"id": row["id"]}, expect=1),
                self._event(who, "removed", row),
            )
        except ExpectFailed:
            raise unknown("schedule", name, ()) from None
        self._tell()
        return Removed(id=row["id"], name=row["name"])

    async def find(self, who: Principal, name: str) -> Row:
        """The row of a name or an id. Raises NotFound."""
        db = self._db.org(who.org)
        row = await db.one("schedule.find", name=name, folded=name.casefold())
        if row is None:
            known = await db.all("schedule.all", limit=MAX_LIMIT)
            raise unknown("schedule", name, (one["name"] for one in known))
        return row

    async def own(self, who: Principal, name: str) -> Row:
        """The row of one that may be changed, or run.

        Raises:
            NotFound: there is none.
            Denied: a key that speaks for a connection asks, and no key of that one made it.
        """
        row = await self.find(who, name)
        check_own(who, read_maker(row), "schedule")
        return row

    async def _add(
        self, who: Principal, asked: ScheduleAdd, made: str, name: str, published: str | None
    ) -> None:
        """Raises UniqueViolation where it, or one of its name, is there."""
        decision = decide_call(who, PUBLISH)
        if not decision:
            raise denied_call(who, PUBLISH, decision)
        check_event(EventPublish(type=asked.type, data=asked.data, subject=asked.subject))
        if len(bytes(asked.data)) > MAX_DATA:
            raise TooLarge(f"the data of a schedule has at most {MAX_DATA >> 10} KiB")
        cron, now = _cron(asked.cron, asked.tz), self._clock.now()
        db = self._db.org(who.org)
        if len(await db.all("schedule.all", limit=MAX_OF_AN_ORG)) >= MAX_OF_AN_ORG:
            raise Conflict(f"an org has at most {MAX_OF_AN_ORG} schedules")
        row = {
            "id": made, "name": name, "type": asked.type, "subject": asked.subject,
            "data": bytes(asked.data).decode(), "cron": asked.cron, "zone": asked.tz,
            "misfire": asked.misfire, "overlap": asked.overlap, "published": published,
            "maker": stored_maker(who), "owner_id": who.owner, "next_at": cron.next(now),
            "now": now,
        }  # fmt: skip
        await db.write(Step("schedule.add", row), self._event(who, "added", row))
        self._tell()

    async def _published(self, who: Principal, digest: str) -> Row:
        row = await self._db.org(who.org).one("schedule.published", published=digest)
        if row is None:
            raise Conflict("the schedule was removed meanwhile", next="meshctl schedule list")
        return row

    async def _goes_on(self, row: Row) -> bool:
        """Whether it fires at its next slot, as far as can be told now."""
        if row["state"] == "paused":
            return False
        try:
            await check_maker_afresh(self._directory, read_maker(row), PUBLISH)
        except Denied:
            return False
        return True

    async def _take_over(self, who: Principal, row: Row, published: str | None) -> None:
        """From now on it is `who`'s, and goes on with the next slot. `published`: see `publish`."""
        taken = {
            "id": row["id"], "maker": stored_maker(who), "owner_id": who.owner,
            "published": published,
            "next_at": _cron(row["cron"], row["zone"]).next(self._clock.now()),
        }  # fmt: skip
        try:
            await self._db.org(who.org).write(
                Step("schedule.take_over", taken, expect=1), self._event(who, "edited", row)
            )
        except ExpectFailed:
            raise Conflict("it was removed meanwhile", next="meshctl schedule list") from None
        self._tell()

    async def _turn(
        self, who: Principal, row: Row, state: str, reason: str | None, following: int | None
    ) -> None:
        if row["state"] == state:
            return
        turn = {"id": row["id"], "state": state, "reason": reason, "next_at": following}
        kind = "paused" if state == "paused" else "resumed"
        about = {} if reason is None else {"reason": reason}
        try:
            await self._db.org(row["org_id"]).write(
                Step("schedule.turn", turn, expect=1), self._event(who, kind, row, **about)
            )
        except ExpectFailed:
            return  # somebody else did it meanwhile
        self._tell()

    def _event(self, who: Principal, kind: str, row: Row, **more: str) -> Step:
        return self._events.step(who, f"schedule.{kind}", row["id"], {"name": row["name"], **more})

    def _tell(self) -> None:
        self.bell.ring()
        self._events.bell.ring()


def _cron(text: str, zone: str) -> Cron:
    """The pattern, which comes at least once.

    Raises:
        BadRequest: it does not, or is none, or its zone is none.
    """
    try:
        cron = Cron(text, zone)
        cron.next(0)
    except BadZone as error:
        raise BadRequest(f'"{ascii(zone[:60])[1:-1]}": {error}') from None
    except BadCron as error:
        raise BadRequest(f'"{ascii(text[:60])[1:-1]}" is no cron pattern: {error}') from None
    return cron


def _columns(row: Row) -> dict[str, Any]:
    maker = read_maker(row)
    return {
        "id": row["id"], "name": row["name"], "state": row["state"], "reason": row["reason"],
        "type": row["type"], "subject": row["subject"], "cron": row["cron"], "tz": row["zone"],
        "misfire": row["misfire"], "overlap": row["overlap"],
        "next_at": iso_or_none(row["next_at"]), "waits": bool(row["queued"]),
        "maker": maker.name, "owner": maker.owner, "created_at": iso(row["created_at"]),
    }  # fmt: skip

"""Schedules: events that come again and again, by cron in a time zone."""

from typing import Literal

from msgspec import Raw, Struct, field

from meshd.wire.empty import null

Misfire = Literal["skip", "once", "all"]
Overlap = Literal["allow", "skip", "queue"]


class Schedule(Struct, kw_only=True):
    """A schedule. `next_at` is its next slot, in UTC, unless it is paused.

    `waits`: that slot is due, and held until what was fired before is delivered. `maker` is whose
    scope it runs under.
    """

    id: str
    name: str
    state: str
    reason: str | None = None
    type: str
    subject: str | None = None
    cron: str
    tz: str
    misfire: Misfire
    overlap: Overlap
    next_at: str | None = None
    waits: bool = False
    maker: str
    owner: str
    created_at: str


class Fire(Struct, kw_only=True):
    """What became of a slot: `fired`, `missed`, held back by an `overlap`, or `run` by hand.

    `missed` more slots were passed over with it.
    """

    slot: str
    at: str
    outcome: str
    missed: int = 0
    event: str | None = None


class ScheduleDetail(Schedule, kw_only=True):
    """A schedule with what its events say, and its last slots, the newest first."""

    data: Raw
    fires: list[Fire]


class ScheduleRef(Struct):
    """Names one schedule by name or id."""

    schedule: str


class ScheduleRemove(Struct, kw_only=True):
    """Names one schedule. `mine`: only if it publishes as whoever asks does."""

    schedule: str
    mine: bool = False


class ScheduleEdit(Struct, kw_only=True):
    """Gives it another owner: `me`, or the id of whoever asks. It runs with their rights then."""

    schedule: str
    owner: str


class ScheduleList(Struct, kw_only=True):
    """Newest first."""

    limit: int = 50


class ScheduleAdd(Struct, kw_only=True):
    """An event `type` at every slot of `cron` in the zone `tz`.

    `cron` has 5 fields, 6 with seconds first, or is a name such as `@daily`. `misfire`: what is
    done about slots that nobody was there for; `overlap`: what if the fire before is not delivered
    yet.
    """

    name: str
    type: str
    cron: str
    tz: str = "UTC"
    data: Raw = field(default_factory=null)
    subject: str | None = None
    misfire: Misfire = "once"
    overlap: Overlap = "allow"


class SchedulePublish(Struct, kw_only=True):
    """As `ScheduleAdd`, without a name: who says the same again has the same schedule."""

    type: str
    cron: str
    tz: str = "UTC"
    data: Raw = field(default_factory=null)
    subject: str | None = None


class ScheduleNext(Struct, kw_only=True):
    """The next so many slots."""

    schedule: str
    count: int = 5

"""Schedules on the decision floors: a daemon's part in firing them, over a bus."""

from dataclasses import dataclass
from typing import Any

from msgspec import Raw

from meshd.services.firing import Firing
from meshd.services.principal import Principal
from meshd.services.schedules import Schedules
from meshd.wire.schedule import ScheduleAdd, ScheduleDetail
from tests.support.bus import Bus


@dataclass
class Timetable:
    """The schedules of a daemon; `firing` does what its loop would."""

    bus: Bus
    schedules: Schedules
    firing: Firing

    @classmethod
    def over(cls, bus: Bus, db: Any = None) -> "Timetable":
        """`db` stands for the database where something happens on the way to it."""
        house = bus.house
        schedules = Schedules(house.scoped, house.directory, house.events, house.clock)
        firing = Firing(
            db or house.scoped, house.directory, house.events, bus.publishing, schedules.stop,
            house.clock,
        )  # fmt: skip
        return cls(bus, schedules, firing)

    async def add(
        self, cron: str, name: str = "tick", who: Principal | None = None, **more: Any
    ) -> ScheduleDetail:
        """A schedule of the socket's owner, unless somebody else makes it."""
        data = Raw(more.pop("data", b'{"n": 1}'))
        asked = ScheduleAdd(name=name, type="tick", cron=cron, data=data, **more)
        return await self.schedules.add(who or self.bus.house.owner, asked)

    async def show(self, name: str = "tick") -> ScheduleDetail:
        return await self.schedules.show(self.bus.house.owner, name)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass as for a daemon that runs: whatever is due on the way is fired then."""
        clock = self.bus.house.clock
        end = clock.now() + round(seconds * 1_000_000)
        while (wait := await self.look()) * 1_000_000 <= end - clock.now():
            clock.advance(max(wait, 0.001))
        clock.advance((end - clock.now()) / 1_000_000)
        await self.look()

    async def look(self) -> float:
        """Fire what is due, on a fresh snapshot; seconds until it wants to look again."""
        await self.bus.house.directory.refresh()
        return await self.firing.fire_due()

    async def ticks(self) -> list[dict[str, Any]]:
        """The events that were fired, oldest first."""
        rows = await self.bus.house.db.all(
            "event.after", org_id=self.bus.house.owner.org, after=0, limit=100_000
        )
        return [row for row in rows if row["type"] == "tick"]

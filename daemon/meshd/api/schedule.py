"""Handlers of calls about schedules."""

from collections.abc import Mapping

from meshd.api.dispatch import Handler
from meshd.services.firing import Firing
from meshd.services.principal import Principal
from meshd.services.schedules import Schedules
from meshd.wire.event import Published
from meshd.wire.schedule import ScheduleRef


def handlers(schedules: Schedules, firing: Firing) -> Mapping[str, Handler]:
    """By call name."""

    async def run(who: Principal, asked: ScheduleRef) -> Published:
        return await firing.run(await schedules.own(who, asked.schedule))

    return {
        "schedule.list": schedules.all,
        "schedule.show": lambda who, asked: schedules.show(who, asked.schedule),
        "schedule.add": schedules.add,
        "schedule.publish": schedules.publish,
        "schedule.pause": lambda who, asked: schedules.pause(who, asked.schedule),
        "schedule.resume": lambda who, asked: schedules.resume(who, asked.schedule),
        "schedule.edit": schedules.edit,
        "schedule.remove": schedules.remove,
        "schedule.next": schedules.next,
        "schedule.run": run,
    }

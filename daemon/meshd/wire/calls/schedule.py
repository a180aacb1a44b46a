"""Calls about schedules."""

from meshd.wire import event as e
from meshd.wire import schedule as s
from meshd.wire.calls.row import Call
from meshd.wire.connection import Removed

LIST = Call(
    "schedule.list",
    "GET",
    "/v1/schedules",
    s.ScheduleList,
    list[s.Schedule],
    "org",
    "List schedules.",
)
SHOW = Call(
    "schedule.show",
    "GET",
    "/v1/schedules/{schedule}",
    s.ScheduleRef,
    s.ScheduleDetail,
    "org",
    "Show one schedule with its last slots.",
)
ADD = Call(
    "schedule.add",
    "POST",
    "/v1/schedules",
    s.ScheduleAdd,
    s.ScheduleDetail,
    "org",
    "Publish an event again and again, by cron.",
)
PUBLISH = Call(
    "schedule.publish",
    "POST",
    "/v1/scheduled-events",
    s.SchedulePublish,
    e.Published,
    "org",
    "Make a schedule, unless the same one is there.",
    idempotent=True,
)
PAUSE = Call(
    "schedule.pause",
    "POST",
    "/v1/schedules/{schedule}/pause",
    s.ScheduleRef,
    s.Schedule,
    "org",
    "Let a schedule rest; what comes meanwhile is not made up for.",
)
RESUME = Call(
    "schedule.resume",
    "POST",
    "/v1/schedules/{schedule}/resume",
    s.ScheduleRef,
    s.Schedule,
    "org",
    "Go on with the next slot from now.",
)
EDIT = Call(
    "schedule.edit",
    "PATCH",
    "/v1/schedules/{schedule}",
    s.ScheduleEdit,
    s.Schedule,
    "org",
    "Take a schedule over: it runs with one's own rights, and goes on.",
)
REMOVE = Call(
    "schedule.remove",
    "DELETE",
    "/v1/schedules/{schedule}",
    s.ScheduleRemove,
    Removed,
    "org",
    "Remove a schedule; what it fired is still delivered.",
)
NEXT = Call(
    "schedule.next",
    "GET",
    "/v1/schedules/{schedule}/next",
    s.ScheduleNext,
    list[str],
    "org",
    "Show when a schedule fires next, by the clocks of its zone.",
)
RUN = Call(
    "schedule.run",
    "POST",
    "/v1/schedules/{schedule}/run",
    s.ScheduleRef,
    e.Published,
    "org",
    "Fire a schedule now, beside its slots.",
)

CALLS = (LIST, SHOW, ADD, PUBLISH, PAUSE, RESUME, EDIT, REMOVE, NEXT, RUN)

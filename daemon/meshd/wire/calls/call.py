"""Calls about call records."""

from meshd.wire import call as c
from meshd.wire.calls.row import Call

LIST = Call(
    "call.list",
    "GET",
    "/v1/calls",
    c.RecordList,
    list[c.Record],
    "org",
    "List calls, newest first.",
)
SHOW = Call(
    "call.show",
    "GET",
    "/v1/calls/{call}",
    c.RecordRef,
    c.RecordDetail,
    "org",
    "Show one call with its stages.",
)
TAIL = Call(
    "call.tail",
    "GET",
    "/v1/tail/calls",
    c.RecordTail,
    c.Record,
    "org",
    "Follow calls as they end.",
    streams=True,
)

CALLS = (LIST, SHOW, TAIL)

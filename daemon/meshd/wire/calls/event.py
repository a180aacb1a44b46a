"""Calls about events."""

from meshd.wire import event as e
from meshd.wire.calls.row import Call

TAIL = Call(
    "event.tail",
    "GET",
    "/v1/tail/events",
    e.EventTail,
    e.Event,
    "org",
    "Follow events as they happen.",
    streams=True,
)

CALLS = (TAIL,)

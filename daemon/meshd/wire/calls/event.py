"""Calls about events."""

from meshd.wire import delivery as d
from meshd.wire import event as e
from meshd.wire.calls.row import Call
from meshd.wire.empty import Nothing

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
PUBLISH = Call(
    "event.publish",
    "POST",
    "/v1/events",
    e.EventPublish,
    e.Published,
    "org",
    "Publish an event as oneself.",
)
PUBLISH_AS = Call(
    "event.publish_as",
    "POST",
    "/v1/events-as",
    e.EventPublish,
    e.Published,
    "org",
    "Publish an event with any source.",
    exact=True,
)
LIST = Call(
    "event.list", "GET", "/v1/events", e.EventList, list[e.EventLine], "org", "List events."
)
SHOW = Call(
    "event.show", "GET", "/v1/events/{event}", e.EventRef, e.Event, "org", "Show one event."
)
RETRY = Call(
    "event.retry",
    "POST",
    "/v1/events/{event}/retry",
    e.EventRef,
    e.Repaired,
    "org",
    "Deliver now what waits of an event, and what was given up.",
)
REPLAY = Call(
    "event.replay",
    "POST",
    "/v1/events/{event}/replay",
    e.EventRef,
    e.Repaired,
    "org",
    "Deliver an event again, also where it was delivered.",
)
CANCEL = Call(
    "event.cancel",
    "POST",
    "/v1/events/{event}/cancel",
    e.EventCancel,
    e.Repaired,
    "org",
    "Deliver nothing more of an event.",
)
ACK = Call(
    "event.ack",
    "POST",
    "/v1/events/{event}/ack",
    e.EventAck,
    e.Repaired,
    "org",
    "Call an event done for a connection: nothing more of it is handed over there.",
)
STATS = Call(
    "event.stats",
    "GET",
    "/v1/event-stats",
    Nothing,
    e.EventStats,
    "org",
    "Show how the bus stands.",
)
DEAD_LIST = Call(
    "event.dead_list",
    "GET",
    "/v1/dead-deliveries",
    d.DeadList,
    list[d.Delivery],
    "org",
    "List deliveries that were given up.",
)
DEAD_RETRY = Call(
    "event.dead_retry",
    "POST",
    "/v1/dead-deliveries/retry",
    d.DeadChoice,
    e.Repaired,
    "org",
    "Try again what was given up.",
)
DEAD_DROP = Call(
    "event.dead_drop",
    "POST",
    "/v1/dead-deliveries/drop",
    d.DeadChoice,
    e.Repaired,
    "org",
    "Forget what was given up.",
)

CALLS = (
    TAIL, PUBLISH, PUBLISH_AS, LIST, SHOW, RETRY, REPLAY, CANCEL, ACK, STATS, DEAD_LIST, DEAD_RETRY,
    DEAD_DROP,
)  # fmt: skip

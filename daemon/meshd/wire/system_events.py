"""The one table of system events: every `mesh.*` type, when it is published, and its data.

Publishers take their types from here, and publish nothing that is not here; the help topic and the
man page are made of it. No field holds a secret, whatever it is about.
"""

from collections.abc import Mapping

from meshd.wire.system_event import PREFIX, Field, SystemEvent, Undeclared, by_kind

BY = "who did it, an object with id and name; meshd where nobody but the daemon did"
"""What `by` is, which stands in the data of every one."""

_NAME = Field("name", "string", "its name", "github")
_REASON = Field("reason", "string", "why", "by you", always=False)
_STATE = Field("state", "string", "the state, as in the type", "failing")
_WHY = Field("reason", "string or null", "what went wrong, redacted", "it does not answer")
_CONNECTION = Field("connection", "string", "its name", "github")
_MORE = Field(
    "more", "integer", "tools beyond the 100 of each kind that are named", 3, always=False
)
_CHILD = Field("child", "string", "the name of what is behind it", "github")
_EVENT_ID = Field("event_id", "string", "the publisher's id of the event", "order-17")
_EVENT_TYPE = Field("event_type", "string", "its type", "order.made")
_EVENT_SOURCE = Field("event_source", "string", "its source", "/connections/conn_1")
_EVENT = (_EVENT_ID, _EVENT_TYPE, _EVENT_SOURCE)
_DELIVERY = Field("delivery", "string or null", "the delivery's id; null is all", "dlv_1")
_OF = Field("subscription_id", "string", "the subscription's id", "sub_1")
_OF_NAME = Field("subscription", "string", "its name", "billing")


def _named(kind: str, when: str, subject: str, *more: Field) -> SystemEvent:
    return SystemEvent(kind, when, subject, (_NAME, *more))


def _connection(kind: str, when: str, *more: Field) -> SystemEvent:
    return _named(f"connection.{kind}", when, "the connection's id", *more)


def _key(kind: str, when: str, *more: Field) -> SystemEvent:
    return _named(f"key.{kind}", when, "the key's id", *more)


def _subscription(kind: str, when: str, *more: Field) -> SystemEvent:
    return _named(f"subscription.{kind}", when, "the subscription's id", *more)


def _schedule(kind: str, when: str, *more: Field) -> SystemEvent:
    return _named(f"schedule.{kind}", when, "the schedule's id", *more)


def _webhook(kind: str, when: str, *more: Field) -> SystemEvent:
    return _named(f"webhook.{kind}", when, "the webhook's id", *more)


def _virtual(kind: str, when: str, *more: Field) -> SystemEvent:
    return _named(f"virtual.{kind}", when, "the virtual MCP's id", *more)


def _org(kind: str, when: str, *more: Field) -> SystemEvent:
    return _named(f"org.{kind}", when, "the org's id", *more)


def _repair(kind: str, when: str) -> SystemEvent:
    return SystemEvent(f"event.{kind}", when, "our id of the event", _EVENT)


_TOLD_OF = "the connection's id"

ROWS: tuple[SystemEvent, ...] = (
    _connection(
        "added", "A connection was added.",
        Field("transport", "string", "http or stdio", "http"),
    ),
    _connection("edited", "A connection was changed; its name is the one from now on."),
    _connection("removed", "A connection was removed, with every grant on it."),
    _connection("enabled", "A connection is served again."),
    _connection("disabled", "A connection is served no more."),
    _connection("ready", "A connection answers, which it did not before.", _STATE, _WHY),
    _connection("failing", "A connection does not answer, which it did before.", _STATE, _WHY),
    _connection("needs_login", "A connection refuses its credentials.", _STATE, _WHY),
    SystemEvent(
        "tool.changed", "A server says something else of its tools than it did.", _TOLD_OF,
        (
            _CONNECTION,
            Field("added", "array of strings", "tools that are new", ["merge"]),
            Field("removed", "array of strings", "tools that are gone", []),
            Field("changed", "array of strings", "tools whose definition differs", ["search"]),
            _MORE,
        ),
    ),
    SystemEvent(
        "tool.approved", "Tools of a pinned connection were approved as they are.", _TOLD_OF,
        (
            _CONNECTION,
            Field("tools", "array of strings", "their names", ["search"]),
            _MORE,
        ),
    ),
    _virtual("created", "A virtual MCP was made."),
    _virtual("edited", "A virtual MCP was changed."),
    _virtual("attached", "Something was put behind a virtual MCP, or is selected anew.", _CHILD),
    _virtual("detached", "Something was taken from behind a virtual MCP.", _CHILD),
    _virtual("enabled", "A virtual MCP is served again."),
    _virtual("disabled", "A virtual MCP is served no more."),
    _virtual("removed", "A virtual MCP was removed, with every grant on it."),
    _key(
        "added", "A key was made.",
        Field("role", "string or null", "the role that it adds to its grants", None),
        Field("expires_at", "string or null", "when it ends", "2030-01-31T12:00:00Z"),
    ),
    _key(
        "edited", "What a key may do was changed.",
        Field("role", "string or null", "its role from now on", "user"),
    ),
    _key("rotated", "A key has a new secret; the one before has stopped."),
    _key("revoked", "A key was revoked."),
    _key(
        "expiring", "A key ends within seven days; once for each end.",
        Field("expires_at", "string", "when it ends", "2030-01-31T12:00:00Z"),
    ),
    _subscription("added", "A subscription was made."),
    _subscription("edited", "A subscription has another owner, or another filter."),
    _subscription("removed", "A subscription was removed, and what waited for it cancelled."),
    _subscription(
        "paused",
        "A subscription stopped: somebody paused it, its owner is gone or may do less, or its"
        " target answered 410.",
        _REASON,
    ),
    _subscription("resumed", "A subscription goes on."),
    _subscription("secret_rotated", "The secret that signs what a subscription sends is new."),
    _subscription(
        "held_back",
        "The target of a subscription failed so often that a daemon only probes it.",
        Field("failures", "integer", "how often in a row", 20),
    ),
    _subscription("recovered", "The target of a subscription that was held back takes events."),
    SystemEvent(
        "delivery.dead",
        "A delivery was given up: its attempts are used up, none can succeed, it ended the daemon"
        " each time, or it waited for too long. Not of events mesh.delivery.* and mesh.event.*.",
        "the subscription's id",
        (
            Field("delivery", "string", "its id", "dlv_1"),
            *_EVENT,
            _OF,
            _OF_NAME,
            Field("attempt", "integer", "how often it was tried", 20),
            Field("error", "string or null", "what went wrong last, redacted", "HTTP 500"),
            Field("expired", "boolean", "whether it waited for too long", False),
            Field("ended_at", "string", "when it was given up", "2030-01-31T12:00:00Z"),
        ),
    ),
    _repair("cancelled", "Somebody cancelled what waits of an event."),
    _repair("acked", "Somebody called done what waits of an event for a connection."),
    _repair("retried", "Somebody had what waits or was given up of an event tried at once."),
    _repair("replayed", "Somebody had an event delivered to everybody again."),
    SystemEvent(
        "delivery.retried", "Somebody had what was given up tried again.",
        "the delivery's id, or all", (_DELIVERY,),
    ),
    SystemEvent(
        "delivery.dropped", "Somebody forgot what was given up.",
        "the delivery's id, or all", (_DELIVERY,),
    ),
    _schedule("added", "A schedule was made."),
    _schedule("edited", "A schedule has another owner, and goes on."),
    _schedule("removed", "A schedule was removed."),
    _schedule("paused", "A schedule stopped: somebody paused it, or it cannot go on.", _REASON),
    _schedule("resumed", "A schedule goes on with its next slot."),
    _schedule(
        "missed", "Slots were passed over, or one event stands for several.",
        Field("missed", "integer", "how many slots", 3),
        Field("more", "boolean", "whether there were more than were counted", False),
        Field("misfire", "string", "what the schedule says about such", "once"),
    ),
    _schedule(
        "held", "A slot is due and waits, since the org publishes too much; a daemon says it once.",
        Field("slot", "string", "the slot", "2030-01-31T12:00:00Z"),
        Field("reason", "string", "the limit", "this org published more than 5000 events a second"),
    ),
    _webhook("added", "A webhook was made that other services send to."),
    _webhook("edited", "A webhook has another owner, and takes events."),
    _webhook("removed", "A webhook was removed."),
    _webhook(
        "paused", "A webhook takes nothing: somebody paused it, or its owner may do less.", _REASON
    ),
    _webhook("resumed", "A webhook takes events again."),
    _webhook("rotated", "A webhook has another secret."),
    _org("created", "An org was made."),
    _org(
        "renamed", "An org has another name.",
        Field("before", "string", "its name until now", "team"),
    ),
    _org("removed", "An org was removed; told in the oldest org."),
    SystemEvent(
        "vault.unlocked", "The vault was unlocked.", "vault",
        (Field("master_key", "string", "the master key's id, no secret", "0102030405060708"),),
    ),
    SystemEvent(
        "db.backed_up", "A backup was written.", "database",
        (
            Field("file", "string", "where", "/backups/mesh.backup"),
            Field("bytes", "integer", "how large it is", 1048576),
        ),
    ),
    SystemEvent(
        "config.reloaded", "The settings were read again.", "meshd",
        (
            Field("changed", "array of strings", "settings that were taken over", ["LOG_LEVEL"]),
            Field("needs_restart", "array of strings", "settings for the next start", ["PORT"]),
        ),
    ),
)  # fmt: skip

SYSTEM_EVENTS: Mapping[str, SystemEvent] = by_kind(ROWS)
"""By kind."""

_OF_REPAIRS = (f"{PREFIX}delivery.", f"{PREFIX}event.")


def declared(kind: str) -> SystemEvent:
    """The row of a kind.

    Raises:
        Undeclared: there is none.
    """
    row = SYSTEM_EVENTS.get(kind)
    if row is None:
        raise Undeclared(f"{PREFIX}{kind} is not declared")
    return row


def is_about_deliveries(type_: str) -> bool:
    """Whether an event tells of events or deliveries itself: what becomes of it is not told of."""
    return type_.startswith(_OF_REPAIRS)

"""The tools by which subscribers of another mesh speak to its bus, each standing for a call.

One table: the tool, the call whose name is the permission, arguments in, result out. Names and
shapes are those of deco's MCP Mesh (`packages/bindings`, event bus). `EVENT_PUBLISH` takes and
answers all that the tool of `event.publish` would, besides. There are no other aliases.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct, field

from meshd.protocol.jsonrpc import BadMessage, check_depth
from meshd.protocol.strict import check_members
from meshd.services.cron_subscriptions import CRON_TYPES
from meshd.services.principal import Principal
from meshd.services.publishing import connection_source, own_connection
from meshd.services.schedules import PREFIX
from meshd.wire.calls import event, schedule, subscription
from meshd.wire.calls.row import Call
from meshd.wire.connection import Removed
from meshd.wire.errors import BadRequest
from meshd.wire.event import EventPublish, Published, Repaired
from meshd.wire.subscription import Subscription, Synced


class Publication(EventPublish, forbid_unknown_fields=True, kw_only=True):
    """An event; `deliverAt` is an instant. With `cron`, one at each slot of the pattern, in UTC.

    With `cron` it has a type, a subject and data alone, and the answer is of the schedule.
    """

    deliver: str | None = field(default=None, name="deliverAt")
    cron: str | None = None


_PLAIN = EventPublish(type="")
"""What an event has that nothing but its type was said of."""


class EventId(Struct, forbid_unknown_fields=True, rename="camel"):
    """Names one event."""

    event_id: str


class EventDone(Struct, rename="camel"):
    """`success`: something waited, and does not any more."""

    success: bool
    event_id: str


class SubscriptionId(Struct, forbid_unknown_fields=True, rename="camel"):
    """Names one subscription."""

    subscription_id: str


class SubscriptionDone(Struct, rename="camel"):
    """A subscription that is gone."""

    success: bool
    subscription_id: str


class Wanted(Struct, forbid_unknown_fields=True, rename="camel"):
    """What to hear. `publisher` is a connection; `filter` is one of meshctl's, as text."""

    event_type: str
    publisher: str | None = None
    filter: str | None = None


class Shown(Struct, rename="camel", kw_only=True):
    """A subscription of a connection."""

    id: str
    connection_id: str
    event_type: str
    publisher: str | None = None
    filter: str | None = None
    enabled: bool
    created_at: str
    updated_at: str


class Subscribed(Struct):
    """The subscription that was made, or was there."""

    subscription: Shown


class Of(Struct, forbid_unknown_fields=True, rename="camel"):
    """Whose subscriptions; of all connections without it."""

    connection_id: str | None = None


class Listed(Struct):
    """Subscriptions of connections."""

    subscriptions: list[Shown]


class WantedAll(Struct, forbid_unknown_fields=True):
    """All that the calling connection wants to hear."""

    subscriptions: list[Wanted]


class SyncedAll(Struct):
    """What it took, and how it is now."""

    created: int
    updated: int
    deleted: int
    unchanged: int
    subscriptions: list[Shown]


@dataclass(frozen=True, slots=True)
class Adapter:
    """A row. `into` makes the call's arguments of the tool's, `out` the tool's answer.

    Some arguments are for another call than `call`; `instead` has it for those.
    """

    tool: str
    call: Call
    asks: type[Struct]
    answers: type[Struct]
    into: Callable[[Principal, Any], dict[str, Any]]
    out: Callable[[Any, Any], Struct]
    instead: Callable[[Any], Call | None] = lambda _: None

    def chosen(self, asked: Any) -> Call:
        """The call that these arguments are for, and whose name is their permission."""
        return self.instead(asked) or self.call

    def read(self, arguments: bytes) -> Any:
        """The tool's arguments.

        Raises:
            BadRequest: they are not of its shape.
        """
        try:
            check_depth(arguments)
            check_members(arguments, self.asks.__struct_encode_fields__)
            return msgspec.json.decode(arguments, type=self.asks)
        except BadMessage as error:
            raise BadRequest(f"{self.tool}: the arguments are {error}") from None
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise BadRequest(f"{self.tool}: {error}") from None


def _publish(_: Principal, asked: Publication) -> dict[str, Any]:
    said = msgspec.structs.asdict(asked)
    cron, deliver = said.pop("cron"), said.pop("deliver")
    when = [one for one in (cron, deliver, asked.deliver_at) if one is not None]
    if len(when) > 1:
        raise BadRequest("cron and deliverAt exclude each other")
    if cron is None:
        return {**said, "deliver_at": when[0] if when else None}
    given = {name for name, value in said.items() if value != getattr(_PLAIN, name)}
    if given - {"type", "subject", "data"}:
        raise BadRequest("with cron an event has a type, a subject and data alone")
    return {"type": asked.type, "subject": asked.subject, "data": asked.data, "cron": cron}


def _cancel(_: Principal, asked: EventId) -> dict[str, Any]:
    named = "schedule" if _is_schedule(asked) else "event"
    return {named: asked.event_id, "mine": True}


def _is_schedule(asked: EventId) -> bool:
    return asked.event_id.startswith(f"{PREFIX}_")


def _subscribe(who: Principal, asked: Wanted) -> dict[str, Any]:
    return {**_wish(asked), "connection": own_connection(who), "once": True}


def _wish(asked: Wanted) -> dict[str, Any]:
    filters = [] if asked.filter is None else [asked.filter]
    if asked.event_type.startswith(CRON_TYPES):
        # Its * is one of cron's: as a pattern it would hear other schedules of that name too.
        filters.append(msgspec.json.encode({"exact": {"type": asked.event_type}}).decode())
    return {"types": [asked.event_type], "publisher": asked.publisher, "filter": filters}


def _sync(who: Principal, asked: WantedAll) -> dict[str, Any]:
    wishes = [_wish(one) for one in asked.subscriptions]
    return {"connection": own_connection(who), "subscriptions": wishes}


def _synced(asked: WantedAll, answer: Synced) -> SyncedAll:
    del asked
    shown = [_shown(one) for one in answer.subscriptions]
    return SyncedAll(answer.created, answer.updated, answer.deleted, answer.unchanged, shown)


def _listed(asked: Of, answer: list[Subscription]) -> Listed:
    of = asked.connection_id
    shown = [_shown(one) for one in answer if one.connection_id is not None]
    return Listed([one for one in shown if of is None or one.connection_id == of])


def _ended(asked: EventId, answer: Repaired | Removed) -> EventDone:
    ended = isinstance(answer, Removed) or bool(answer.deliveries)
    return EventDone(ended, asked.event_id)


def _shown(row: Subscription) -> Shown:
    return Shown(
        id=row.id, connection_id=row.connection_id or "", event_type=" ".join(row.types),
        publisher=_bare(row.publisher),
        filter=bytes(row.filter).decode() if row.filter is not None else None,
        enabled=row.state == "active", created_at=row.created_at,
        updated_at=row.changed_at or row.created_at,
    )  # fmt: skip


def _bare(source: str | None) -> str | None:
    """The id of a connection for its source; any other source as it is."""
    return source.removeprefix(connection_source("")) if source else None


ADAPTERS = (
    Adapter(
        "EVENT_PUBLISH", event.PUBLISH, Publication, Published, _publish, lambda _, made: made,
        instead=lambda asked: None if asked.cron is None else schedule.PUBLISH,
    ),
    Adapter(
        "EVENT_SUBSCRIBE", subscription.ADD, Wanted, Subscribed,
        _subscribe, lambda _, made: Subscribed(_shown(made)),
    ),
    Adapter(
        "EVENT_UNSUBSCRIBE", subscription.REMOVE, SubscriptionId, SubscriptionDone,
        lambda _, asked: {"subscription": asked.subscription_id, "mine": True},
        lambda _, gone: SubscriptionDone(True, gone.id),
    ),
    Adapter(
        "EVENT_CANCEL", event.CANCEL, EventId, EventDone,
        _cancel, _ended, instead=lambda asked: schedule.REMOVE if _is_schedule(asked) else None,
    ),
    Adapter(
        "EVENT_ACK", event.ACK, EventId, EventDone,
        lambda who, asked: {"event": asked.event_id, "connection": own_connection(who)}, _ended,
    ),
    Adapter(
        "EVENT_SUBSCRIPTION_LIST", subscription.LIST, Of, Listed, lambda *_: {}, _listed,
    ),
    Adapter("EVENT_SYNC_SUBSCRIPTIONS", subscription.SYNC, WantedAll, SyncedAll, _sync, _synced),
)  # fmt: skip

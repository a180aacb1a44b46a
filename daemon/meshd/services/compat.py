"""The tools by which subscribers of another mesh speak to its bus, each standing for a call.

One table: the tool, the call whose name is the permission, arguments in, result out. Names and
shapes are those of deco's MCP Mesh (`packages/bindings`, event bus). `EVENT_PUBLISH` needs no row:
the tool of `event.publish` takes and answers all that it did. There are no other aliases.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from meshd.protocol.jsonrpc import BadMessage, check_depth
from meshd.protocol.strict import check_members
from meshd.services.principal import Principal
from meshd.services.publishing import connection_source, own_connection
from meshd.wire.calls import event, subscription
from meshd.wire.calls.row import Call
from meshd.wire.errors import BadRequest
from meshd.wire.event import Repaired
from meshd.wire.subscription import Subscription, Synced


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
    """A row. `into` makes the call's arguments of the tool's, `out` the tool's answer."""

    tool: str
    call: Call
    asks: type[Struct]
    answers: type[Struct]
    into: Callable[[Principal, Any], dict[str, Any]]
    out: Callable[[Any, Any], Struct]

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


def _subscribe(who: Principal, asked: Wanted) -> dict[str, Any]:
    return {**_wish(asked), "connection": own_connection(who), "once": True}


def _wish(asked: Wanted) -> dict[str, Any]:
    return {
        "types": [asked.event_type],
        "publisher": asked.publisher,
        "filter": [] if asked.filter is None else [asked.filter],
    }


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


def _ended(asked: EventId, answer: Repaired) -> EventDone:
    return EventDone(bool(answer.deliveries), asked.event_id)


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
        lambda _, asked: {"event": asked.event_id, "mine": True}, _ended,
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

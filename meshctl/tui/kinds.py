"""What the panels hold: columns, cards, commands, and what is said when there is nothing."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct

from meshctl.render import connection, delivery, event, record, subscription, when
from meshctl.render.columns import Column, Item, Pairs, Table
from meshctl.render.look import Look
from meshd.wire.call import RecordRef
from meshd.wire.calls import call
from meshd.wire.calls import delivery as delivery_calls
from meshd.wire.calls.row import Call
from meshd.wire.delivery import DeliveryRef


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing. `detail` is the call that a card needs, where a row does not say enough.

    `event` names the event that a thing is, or is about.
    """

    name: str
    title: str
    table: Callable[[Look], Table]
    empty: tuple[str, ...]
    card: Callable[[Item, Look], Pairs]
    commands: Callable[[Item], list[str]]
    detail: Callable[[Item], tuple[Call, Struct]] | None = None
    titled: bool = True
    event: Callable[[Item], str] | None = None


def pick(table: Table, *titles: str) -> Table:
    """The columns of those titles, in that order."""
    columns = {column.title: column for column in table.columns}
    return Table(tuple(columns[title] for title in titles), table.key)


def _connections(look: Look) -> Table:
    return pick(connection.table(look), "NAME", "STATE", "TOOLS", "SEEN", "REASON")


def _calls(look: Look) -> Table:
    # Where it is narrow columns go from the right: what matters most stands on the left.
    titles = ("AT", "CONNECTION", "TOOL", "RESULT", "TOOK", "CALLER", "ERROR")
    return pick(record.table(look), *titles)


def _events(look: Look) -> Table:
    return Table((Column("EVENT", lambda item: event.line(item, look), flex=True),))


def _event_card(item: Item, look: Look) -> Pairs:
    pairs = [
        ("id", item["id"]),
        ("at", when.stamp(item["time"], look.now)),
        ("type", item["type"]),
        ("source", item["source"]),
        ("subject", item.get("subject")),
        ("data", json.dumps(item.get("data"), indent=2, ensure_ascii=False)),
    ]
    return [(label, value) for label, value in pairs if value]


def _event_command(item: Item) -> str:
    return f"meshctl event tail --after {item['meshseq'] - 1} --limit 1 --no-follow --json"


def _delivery(item: Item) -> tuple[Call, Struct]:
    return delivery_calls.SHOW, DeliveryRef(item["id"])


def _event_of(item: Item) -> str:
    return str(item["event"])


CONNECTIONS = Kind(
    "connections",
    "Connections",
    _connections,
    ("no connections yet", "next: meshctl connect NAME URL"),
    connection.card,
    lambda c: [f"meshctl connection show {c['name']}", *connection.next_steps(c)],
)
CALLS = Kind(
    "calls",
    "Calls",
    _calls,
    ("no calls yet", "next: meshctl tool call CONNECTION TOOL"),
    record.card,
    lambda r: [f"meshctl call show {r['id']}"],
    detail=lambda r: (call.SHOW, RecordRef(r["id"])),
)
EVENTS = Kind(
    "events",
    "Events",
    _events,
    ("no events today",),
    _event_card,
    lambda e: [_event_command(e)],
    titled=False,
    event=lambda e: str(e.get("meshid") or e["id"]),
)
DEAD = Kind(
    "dead",
    "Dead letters",
    lambda look: pick(delivery.table(look), "TYPE", "SUBSCRIPTION", "CREATED", "ERROR"),
    ("nothing was given up",),
    delivery.card,
    lambda d: [f"meshctl delivery show {d['id']}", f"meshctl event dead retry {d['id']}"],
    detail=_delivery,
    event=_event_of,
)
DELIVERIES = Kind(
    "deliveries",
    "Deliveries",
    lambda look: pick(
        delivery.table(look), "STATE", "TYPE", "SUBSCRIPTION", "ATTEMPT", "CREATED", "ERROR"
    ),
    ("no deliveries yet", "next: meshctl subscription add"),
    delivery.card,
    lambda d: [f"meshctl delivery show {d['id']}"],
    detail=_delivery,
    event=_event_of,
)
SUBSCRIPTIONS = Kind(
    "subscriptions",
    "Subscriptions",
    lambda look: pick(subscription.table(look), "NAME", "STATE"),
    ("no subscriptions yet",),
    subscription.card,
    lambda s: [f"meshctl subscription show {s['name']}"],
)

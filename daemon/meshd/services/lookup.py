"""From a name or an id to the thing itself, within one org. Unknown and foreign answer alike."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import chain, islice

from meshd.core.redact import redact_text
from meshd.services.directory import ConnectionRow, KeyRow, View
from meshd.services.subscription_rows import SubscriptionRow
from meshd.services.virtual_rows import VirtualRow
from meshd.wire.errors import Conflict, NotFound

MAX_COMPARED = 500
"""Names that a wrong one is compared with for a suggestion."""


def find_connection(view: View, org: str, name: str, *, suggest: bool = True) -> ConnectionRow:
    """The connection.

    Raises:
        NotFound: none of that name or id in this org; with the nearest name, to `suggest` it.
    """
    row = view.connections.get(name) or view.by_name.get((org, name.casefold()))
    if row is None or row.org != org:
        known = (c.name for c in view.connections.values() if c.org == org)
        raise unknown("connection", name, known if suggest else ())
    return row


def find_virtual(view: View, org: str, name: str) -> VirtualRow:
    """The virtual MCP. Raises as `find_connection`."""
    row = view.virtuals.get(name) or view.virtual_by_name.get((org, name.casefold()))
    if row is None or row.org != org:
        mine = (v.name for v in view.virtuals.values() if v.org == org)
        raise unknown("virtual", name, mine, "virtual MCP")
    return row


def check_no_virtual(view: View, org: str, name: str) -> None:
    """Refuse a connection the name of a virtual MCP.

    Raises:
        Conflict: there is one.
    """
    if (org, name) in view.virtual_by_name:
        raise Conflict(
            f'a virtual MCP "{name}" exists already', next=f"meshctl virtual show {name}"
        )


def find_target(view: View, org: str, name: str) -> ConnectionRow | VirtualRow:
    """The connection or virtual MCP: they share their names. Raises as `find_connection`."""
    key = org, name.casefold()
    by_id = view.connections.get(name) or view.virtuals.get(name)
    row = by_id or view.by_name.get(key) or view.virtual_by_name.get(key)
    if row is None or row.org != org:
        known = chain(view.by_name, view.virtual_by_name)
        names = (its_name for its_org, its_name in known if its_org == org)
        raise unknown("connection", name, names, "connection or virtual MCP")
    return row


def find_key(view: View, org: str, name: str) -> KeyRow:
    """The key. Raises as `find_connection`."""
    mine = {key.principal.name: key for key in view.keys.values() if key.principal.org == org}
    row = view.keys.get(name) or mine.get(name.casefold())
    if row is None or row.principal.org != org:
        raise unknown("key", name, mine)
    return row


def find_subscription(view: View, org: str, name: str) -> SubscriptionRow:
    """The subscription. Raises as `find_connection`."""
    mine = {row.name: row for row in view.subscriptions.values() if row.org == org}
    row = view.subscriptions.get(name) or mine.get(name.casefold())
    if row is None or row.org != org:
        raise unknown("subscription", name, mine)
    return row


def unknown(kind: str, name: str, known: Iterable[str], called: str = "") -> NotFound:
    """The error for a name that none has, with the nearest of those that are known."""
    near = get_close_matches(name.casefold()[:60], list(islice(known, MAX_COMPARED)), n=1)
    return NotFound(
        f'there is no {called or kind} "{ascii(redact_text(name[:60]))[1:-1]}"',
        facts={"did you mean": near[0]} if near else None,
        next=f"meshctl {kind} list",
    )

"""From a name or an id to the thing itself, within one org. Unknown and foreign answer alike."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

from meshd.core.redact import redact_text
from meshd.services.directory import ConnectionRow, KeyRow, View
from meshd.services.subscription_rows import SubscriptionRow
from meshd.wire.errors import NotFound

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
        raise _unknown("connection", name, known if suggest else ())
    return row


def find_key(view: View, org: str, name: str) -> KeyRow:
    """The key. Raises as `find_connection`."""
    mine = {key.principal.name: key for key in view.keys.values() if key.principal.org == org}
    row = view.keys.get(name) or mine.get(name.casefold())
    if row is None or row.principal.org != org:
        raise _unknown("key", name, mine)
    return row


def find_subscription(view: View, org: str, name: str) -> SubscriptionRow:
    """The subscription. Raises as `find_connection`."""
    mine = {row.name: row for row in view.subscriptions.values() if row.org == org}
    row = view.subscriptions.get(name) or mine.get(name.casefold())
    if row is None or row.org != org:
        raise _unknown("subscription", name, mine)
    return row


def unknown(kind: str, name: str, known: Iterable[str]) -> NotFound:
    """The error for a name that none has, with the nearest of those that are known."""
    return _unknown(kind, name, known)


def _unknown(kind: str, name: str, known: Iterable[str]) -> NotFound:
    near = get_close_matches(name.casefold()[:60], list(islice(known, MAX_COMPARED)), n=1)
    return NotFound(
        f'there is no {kind} "{ascii(redact_text(name[:60]))[1:-1]}"',
        facts={"did you mean": near[0]} if near else None,
        next=f"meshctl {kind} list",
    )

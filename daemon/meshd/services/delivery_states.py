"""The states of deliveries as they are shown, and that of an event by its deliveries. Pure.

Two of them are derived: `waiting` is stored as ready, for a later moment, and `expired` as dead.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from meshd.store.db import Row

STATES = ("waiting", "ready", "inflight", "done", "dead", "cancelled", "expired")
_DECIDING = ("inflight", "ready", "waiting", "dead", "expired")
"""The first of these that a delivery is in is the state of its event."""


def shown_state(row: Row, now: int) -> str:
    """The state of a stored delivery."""
    at = row["available_at"]
    return _shown({**row, "later": at is not None and at > now})


def stored_as(state: str | None) -> dict[str, Any]:
    """What the stored row has, for a state as it is shown; None for whatever does not matter."""
    if state in {"waiting", "ready"}:
        return {"state": "ready", "expired": None, "later": int(state == "waiting")}
    if state in {"dead", "expired"}:
        return {"state": "dead", "expired": int(state == "expired"), "later": None}
    return {"state": state, "expired": None, "later": None}


def counted(rows: Iterable[Row]) -> dict[str, int]:
    """How many there are of every state, out of rows that count some (`n`) of one."""
    counts = dict.fromkeys(STATES, 0)
    for row in rows:
        counts[_shown(row)] += row["n"]
    return counts


def event_state(counts: Mapping[str, int]) -> str:
    """The state of an event; see `EventLine`."""
    for state in _DECIDING:
        if counts[state]:
            return state
    return "cancelled" if counts["cancelled"] and not counts["done"] else "done"


def _shown(row: Row) -> str:
    if row["state"] == "ready" and row["later"]:
        return "waiting"
    if row["state"] == "dead" and row["expired"]:
        return "expired"
    return str(row["state"])

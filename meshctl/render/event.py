"""Events: the line of a tail, their table and their card, and how the bus stands."""

from __future__ import annotations

import json

from meshctl.render import when
from meshctl.render.lines import GAP
from meshctl.render.safe import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshctl.render.columns import Item, Pairs, Table
    from meshctl.render.look import Look

_DATA = 160
"""Characters of the data that a line shows; `--json` shows it whole."""


def line(item: Item, look: Look) -> str:
    """One event: when, what, about what, and the beginning of its data."""
    about = item.get("subject") or item["source"]
    data = item.get("data", item.get("data_base64"))
    cells = [
        when.clock(item["time"], look.now),
        f"{safe(str(item['type'])):<24}",
        f"{safe(str(about)):<22}",
        "" if data is None else look.cut(safe(json.dumps(data, ensure_ascii=False)), _DATA),
    ]
    return GAP.join(cells).rstrip()


def table(look: Look) -> Table:
    """`event list`."""
    from meshctl.render.columns import Column, Table

    return Table(
        (
            Column("TIME", lambda e: when.age(e["time"], look.now)),
            Column("TYPE", lambda e: str(e["type"])),
            Column("SUBJECT", lambda e: e.get("subject") or "-", flex=True),
            Column("SOURCE", lambda e: str(e["source"])),
            Column("STATE", lambda e: str(e["state"])),
            Column("DELIVERED", _delivered, align="right"),
            Column("ID", lambda e: str(e["id"])),
        )
    )


def _delivered(item: Item) -> str:
    """How many of its deliveries are done: `2/3`."""
    counts = item["deliveries"]
    return f"{counts['done']}/{sum(counts.values())}"


def card(item: Item, look: Look) -> Pairs:
    """`event show`: every attribute, and the data whole."""
    attributes = [
        (name, str(value))
        for name, value in item.items()
        if value is not None and name not in {"data", "data_base64", "time"}
    ]
    data = item.get("data", item.get("data_base64"))
    shown = json.dumps(data, ensure_ascii=False, indent=2)
    return [*attributes, ("time", when.stamp(item["time"], look.now)), ("data", shown)]


def published(item: Item) -> str:
    """The line about an event that was published."""
    again = ", there already" if item["duplicate"] else ""
    return safe(f"published {item['type']}: {counted(item['deliveries'])}{again}  {item['id']}")


def scheduled(item: Item) -> str:
    """The line about an event that comes by cron from now on."""
    again = ", there already" if item["duplicate"] else ""
    return safe(f"scheduled {item['type']}: next at {item['time']}{again}  {item['id']}")


def counted(n: int) -> str:
    """So many deliveries, in words."""
    return "1 delivery" if n == 1 else f"{n} deliveries"


def tally(counts: Mapping[str, int]) -> str:
    """`12 ready, 2 dead`; `none` when there are none."""
    return ", ".join(f"{n} {state}" for state, n in counts.items() if n) or "none"


def standing(item: Item) -> str:
    """How deliveries stand, in a line: how many in each state, and how long the oldest waits."""
    oldest = item.get("oldest_waiting_s")
    waits = "" if oldest is None else f", oldest waits {oldest:.0f} s"
    return tally(item["states"]) + waits


def stats(item: Item) -> Pairs:
    """`event stats`."""
    oldest = item.get("oldest_waiting_s")
    ago = item.get("counted_s_ago", 0)
    pairs = [(state, str(n)) for state, n in item["states"].items()]
    pairs += [
        ("counted", f"{ago:.0f} s ago" if ago >= 1 else ""),
        ("oldest waits", "" if oldest is None else f"{oldest:.0f} s"),
        ("under way here", str(item["under_way"])),
        ("leases lost here", str(item["leases_lost"])),
        ("subscriptions", " ".join(f"{n} {state}" for state, n in item["subscriptions"].items())),
        ("held back", " ".join(item["held_back"])),
    ]
    return [(label, value) for label, value in pairs if value]

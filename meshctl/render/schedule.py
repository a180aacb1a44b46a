"""Schedules: their table, their card with the last slots, and the line about a new one."""

import json

from meshctl.render import when
from meshctl.render.columns import Column, Item, Pairs, Table
from meshctl.render.look import Look
from meshctl.render.safe import safe


def table(look: Look) -> Table:
    """`schedule list`."""
    return Table(
        (
            Column("NAME", lambda s: str(s["name"])),
            Column("STATE", state, style=lambda s: "" if state(s) == "active" else "yellow"),
            Column("TYPE", lambda s: str(s["type"]), flex=True),
            Column("CRON", lambda s: str(s["cron"])),
            Column("ZONE", lambda s: str(s["tz"])),
            Column("NEXT", lambda s: _next(s, look)),
            Column("MAKER", lambda s: str(s["maker"])),
            Column("ID", lambda s: str(s["id"])),
        )
    )


def card(item: Item, look: Look) -> Pairs:
    """`schedule show`."""
    pairs = [
        ("name", item["name"]),
        ("id", item["id"]),
        ("state", state(item)),
        ("reason", item.get("reason")),
        ("type", item["type"]),
        ("subject", item.get("subject")),
        ("data", json.dumps(item["data"], ensure_ascii=False)),
        ("cron", f"{item['cron']}  {item['tz']}"),
        ("next", _next(item, look) if item.get("next_at") else ""),
        ("misfire", item["misfire"]),
        ("overlap", item["overlap"]),
        ("maker", item["maker"]),
        ("owner", item["owner"]),
        ("created", when.stamp(item["created_at"], look.now)),
        ("slots", "\n".join(_fire(one, look) for one in item["fires"]) or "none yet"),
    ]
    return [(label, value) for label, value in pairs if value]


def state(item: Item) -> str:
    """Its state; one that waits for what it fired before says so."""
    return "waiting" if item["state"] == "active" and item["waits"] else str(item["state"])


def made(item: Item, look: Look) -> str:
    """The line about a new one."""
    first = _next(item, look)
    return safe(f'schedule "{item["name"]}": {item["type"]}, first at {first}  {item["id"]}')


def _next(item: Item, look: Look) -> str:
    return when.clock(item["next_at"], look.now) if item.get("next_at") else "-"


def _fire(one: Item, look: Look) -> str:
    missed = f"and {one['missed']} more passed over" if one["missed"] else ""
    cells = (when.clock(one["slot"], look.now), one["outcome"], one.get("event") or "", missed)
    return "  ".join(cell for cell in cells if cell)

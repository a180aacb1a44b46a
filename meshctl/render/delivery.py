"""Deliveries: their table, and the card with each attempt."""

from meshctl.render import when
from meshctl.render.columns import Column, Item, Pairs, Table
from meshctl.render.look import Look

_STYLES = {
    "dead": "red", "expired": "red", "done": "green", "ready": "yellow", "waiting": "yellow",
}  # fmt: skip


def table(look: Look) -> Table:
    """`delivery list` and `event dead list`."""
    return Table(
        (
            Column("STATE", lambda d: str(d["state"]), style=lambda d: _STYLES.get(d["state"], "")),
            Column("EVENT", lambda d: str(d["event_id"])),
            Column("TYPE", lambda d: str(d["type"])),
            Column("SUBSCRIPTION", lambda d: str(d["subscription"])),
            Column("ATTEMPT", lambda d: str(d["attempt"]), align="right"),
            Column("CREATED", lambda d: when.age(d["created_at"], look.now)),
            Column("ERROR", lambda d: d.get("error") or "-", flex=True),
            Column("ID", lambda d: str(d["id"])),
        )
    )


def card(item: Item, look: Look) -> Pairs:
    """`delivery show`."""
    pairs = [
        ("id", item["id"]),
        ("state", item["state"]),
        ("event", f"{item['event_id']}  {item['type']}"),
        ("source", item["source"]),
        ("subscription", item["subscription"]),
        ("replays", str(item["replays"]) if item["replays"] else ""),
        ("error", item.get("error")),
        ("next", when.stamp(item["next_at"], look.now) if item.get("next_at") else ""),
        ("created", when.stamp(item["created_at"], look.now)),
        ("ended", when.stamp(item["ended_at"], look.now) if item.get("ended_at") else ""),
        ("attempts", "\n".join(_attempt(one, look) for one in item["attempts"]) or "none"),
    ]
    return [(label, value) for label, value in pairs if value]


def _attempt(one: Item, look: Look) -> str:
    said = one.get("error") or one.get("status") or ""
    at = when.clock(one["started_at"], look.now)
    return f"{one['attempt']}  {at}  {one['outcome']}  {one['duration_ms']:.0f} ms  {said}".rstrip()

"""Inbound webhooks: their table, their card, and the line about a new one."""

from meshctl.render import when
from meshctl.render.columns import Column, Item, Pairs, Table
from meshctl.render.look import Look
from meshctl.render.safe import safe


def table(look: Look) -> Table:
    """`webhook list`."""
    return Table(
        (
            Column("NAME", lambda w: str(w["name"])),
            Column(
                "STATE",
                lambda w: str(w["state"]),
                style=lambda w: "" if w["state"] == "active" else "yellow",
            ),
            Column("SIGNATURE", lambda w: str(w["signature"])),
            Column("TYPE", events),
            Column("URL", lambda w: str(w["url"]), flex=True),
            Column("MAKER", lambda w: str(w["maker"])),
            Column("CREATED", lambda w: when.age(w["created_at"], look.now)),
        )
    )


def card(item: Item, look: Look) -> Pairs:
    """`webhook show`."""
    old = item.get("old_secret_until")
    pairs = [
        ("name", item["name"]),
        ("id", item["id"]),
        ("state", item["state"]),
        ("reason", item.get("reason")),
        ("url", item["url"]),
        ("signature", item["signature"]),
        ("old secret", f"counts until {when.clock(old, look.now)}" if old else ""),
        ("type", events(item)),
        ("source", item["source"]),
        ("maker", item["maker"]),
        ("owner", item["owner"]),
        ("created", when.stamp(item["created_at"], look.now)),
    ]
    return [(label, value) for label, value in pairs if value]


def events(item: Item) -> str:
    """The type of its events, or what they begin with."""
    return str(item.get("type") or f"{item['name']}.*")


def made(item: Item) -> str:
    """The line about a new one."""
    return safe(f'webhook "{item["name"]}" ({item["signature"]}) at {item["url"]}  {item["id"]}')

"""Subscriptions: their table, their card, and the line about a new one."""

import json

from meshctl.render import when
from meshctl.render.columns import Column, Item, Pairs, Table
from meshctl.render.look import Look
from meshctl.render.safe import safe


def table(look: Look) -> Table:
    """`subscription list`."""
    return Table(
        (
            Column("NAME", lambda s: str(s["name"])),
            Column("STATE", state, style=lambda s: "" if state(s) == "active" else "yellow"),
            Column("TYPES", lambda s: " ".join(s["types"])),
            Column("TO", target, flex=True),
            Column("MAKER", lambda s: str(s["maker"])),
            Column("CREATED", lambda s: when.age(s["created_at"], look.now)),
            Column("ID", lambda s: str(s["id"])),
        )
    )


def card(item: Item, look: Look) -> Pairs:
    """`subscription show`."""
    arguments = item["target"].get("arguments")
    pairs = [
        ("name", item["name"]),
        ("id", item["id"]),
        ("state", state(item)),
        ("reason", item.get("reason")),
        ("types", "\n".join(item["types"])),
        ("publisher", item.get("publisher")),
        ("filter", json.dumps(item["filter"]) if item.get("filter") else ""),
        ("ordered by", item.get("ordered_by")),
        ("to", target(item)),
        ("arguments", "" if arguments is None else json.dumps(arguments, ensure_ascii=False)),
        ("maker", item["maker"]),
        ("owner", item["owner"]),
        ("created", when.stamp(item["created_at"], look.now)),
        ("changed", when.stamp(item["changed_at"], look.now) if item.get("changed_at") else ""),
    ]
    return [(label, value) for label, value in pairs if value]


def state(item: Item) -> str:
    """Its state; one whose target fails so that it is only probed is held back."""
    return "held back" if item["state"] == "active" and item["held_back"] else str(item["state"])


def target(item: Item) -> str:
    """Where events go, in one cell."""
    to = item["target"]
    return str(to["webhook"]) if to.get("webhook") else f"{to['connection']}/{to['tool']}"


def made(item: Item) -> str:
    """The line about a new one."""
    types = " ".join(item["types"])
    return safe(f'subscription "{item["name"]}": {types} to {target(item)}  {item["id"]}')

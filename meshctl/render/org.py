"""Orgs: their table and their card."""

from meshctl.render import when
from meshctl.render.columns import Column, Item, Pairs, Table
from meshctl.render.look import Look


def table(look: Look, used: str | None) -> Table:
    """`org list`; `used` is the name or id of the org in use."""
    return Table(
        (
            Column("NAME", lambda o: str(o["name"])),
            Column("IN USE", lambda o: "yes" if used in {o["name"], o["id"]} else "-"),
            Column("CONNECTIONS", lambda o: str(o["connections"]), align="right"),
            Column("KEYS", lambda o: str(o["keys"]), align="right"),
            Column("CREATED", lambda o: when.age(o["created_at"], look.now)),
            Column("ID", lambda o: str(o["id"])),
        )
    )


def card(item: Item, look: Look) -> Pairs:
    """`org show`."""
    return [
        ("name", item["name"]),
        ("id", item["id"]),
        ("connections", str(item["connections"])),
        ("keys", str(item["keys"])),
        ("created", when.stamp(item["created_at"], look.now)),
    ]

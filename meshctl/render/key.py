"""Keys: their table, their card, and what is said beside a secret that is shown once."""

from collections.abc import Sequence

from meshctl.render import when
from meshctl.render.columns import Column, Item, Pairs, Table
from meshctl.render.look import Look
from meshctl.render.safe import safe

_SHOWN = 3
"""Grants that a table cell names before it counts the rest."""


def table(look: Look) -> Table:
    """`key list`."""
    return Table(
        (
            Column("NAME", lambda k: str(k["name"])),
            Column("SECRET", lambda k: _hint(k, look)),
            Column("ALLOWS", allows, flex=True),
            Column("ROLE", lambda k: k.get("role") or "-"),
            Column("CREATED", lambda k: when.age(k["created_at"], look.now)),
            Column("LAST USED", lambda k: when.age(k.get("last_used_at"), look.now)),
            Column(
                "EXPIRES",
                lambda k: when.expiry(k.get("expires_at"), look.now),
                style=lambda k: _expiry_style(k, look),
            ),
            Column("ID", lambda k: str(k["id"])),
        )
    )


def card(item: Item, look: Look) -> Pairs:
    """`key show`, every grant on its own line."""
    pairs = [
        ("name", item["name"]),
        ("id", item["id"]),
        ("secret", _hint(item, look)),
        ("allows", "\n".join(item["grants"]) or "nothing"),
        ("role", item.get("role")),
        ("limit", "read-only tools" if item.get("read_only") else ""),
        ("for", item.get("connection")),
        ("owner", item["owner"]),
        ("created", when.stamp(item["created_at"], look.now)),
        ("last used", when.age(item.get("last_used_at"), look.now)),
        ("expires", when.expiry(item.get("expires_at"), look.now)),
    ]
    return [(label, value) for label, value in pairs if value]


def allows(item: Item) -> str:
    """What it may do, in one cell: `github, jira/search_*, +2; read-only`."""
    grants: Sequence[str] = item["grants"]
    shown = list(grants[:_SHOWN]) or ["nothing"]
    if len(grants) > _SHOWN:
        shown.append(f"+{len(grants) - _SHOWN}")
    return ", ".join(shown) + ("; read-only" if item.get("read_only") else "")


def issued(item: Item, look: Look) -> list[str]:
    """What stands on stderr beside the secret: name, permissions, end."""
    words = [f"allows {', '.join(item['grants']) or 'nothing'}"]
    if item.get("role"):
        words.append(f"role {item['role']}")
    if item.get("read_only"):
        words.append("read-only")
    end = when.expiry(item.get("expires_at"), look.now)
    words.append("never expires" if end == "never" else f"expires {end}")
    return [
        safe(f'key "{item["name"]}": {", ".join(words)}  {item["id"]}'),
        "shown once: the secret went to stdout",
    ]


def endpoint(item: Item) -> str:
    """The end of its client's URL: the one connection that it may use, or a place for a name."""
    names = {grant.partition("/")[0] for grant in item["grants"]} - {"self"}
    name = names.pop() if len(names) == 1 else "*"
    return "CONNECTION" if name == "*" else name


def _hint(item: Item, look: Look) -> str:
    return f"{item['prefix']}{look.ellipsis}{item['last_four']}"


def _expiry_style(item: Item, look: Look) -> str:
    return "red" if when.expiry(item.get("expires_at"), look.now) == "expired" else ""

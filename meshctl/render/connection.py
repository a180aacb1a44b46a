"""Connections: their table, their card, and what `connect` and `connection test` say."""

import shlex
from collections.abc import Mapping
from typing import Any

from meshctl.render import child, when
from meshctl.render.columns import Column, Item, Pairs, Table
from meshctl.render.look import Look, Mark
from meshctl.render.safe import safe

_STATES: Mapping[str, tuple[Mark, str, str]] = {
    "ready": ("good", "ready", "green"),
    "failing": ("bad", "failing", "red"),
    "needs_login": ("bad", "needs login", "yellow"),
    "disabled": ("off", "disabled", "dim"),
    "unknown": ("open", "unknown", "dim"),
}


def state(item: Item, look: Look) -> str:
    """Glyph and word: `● ready`, `! needs login`."""
    mark, word, _ = _STATES.get(item["state"], ("open", str(item["state"]), ""))
    return f"{look.mark(mark)} {word}"


def state_style(item: Item) -> str:
    """The colour that goes with the state's word."""
    return _STATES.get(item["state"], ("open", "", ""))[2]


def address(item: Item) -> str:
    """Where it is reached: the URL, or the command as a shell would take it."""
    return str(item["url"]) if "url" in item else shlex.join(item.get("command", []))


def table(look: Look) -> Table:
    """`connection list`."""
    return Table(
        (
            Column("NAME", lambda c: str(c["name"])),
            Column("STATE", lambda c: state(c, look), style=state_style),
            Column("VIA", lambda c: str(c["transport"])),
            Column("TOOLS", lambda c: _count(c.get("tools")), align="right"),
            Column("TOKENS", lambda c: when.tokens(c.get("tokens")), align="right"),
            Column("SEEN", lambda c: when.age(c.get("seen_at"), look.now)),
            Column("ID", lambda c: str(c["id"])),
            Column("REASON", lambda c: c.get("reason") or "", flex=True),
        )
    )


def card(item: Item, look: Look) -> Pairs:
    """`connection show`; header and env values are named, never shown."""
    pairs = [
        ("name", item["name"]),
        ("id", item["id"]),
        ("state", state(item, look)),
        ("reason", item.get("reason")),
        ("held back", _held_back(item.get("next_probe_s"))),
        ("url" if "url" in item else "command", address(item)),
        ("folder", item.get("cwd")),
        ("speaks", item.get("protocol") and f"MCP {item['protocol']}"),
        ("headers", ", ".join(item.get("headers", []))),
        ("env", ", ".join(item.get("env", []))),
        ("bodies", item.get("bodies")),
        ("rests", _rests(item.get("idle_s"))),
        ("trust", item.get("trust")),
        ("tools", tools(item)),
        *(child.pairs(item["child"]) if "child" in item else ()),
        ("seen", when.age(item.get("seen_at"), look.now)),
        ("created", when.stamp(item["created_at"], look.now)),
    ]
    return [(label, value) for label, value in pairs if value]


def _held_back(probe: float | None) -> str | None:
    return None if probe is None else f"calls fail at once; probed again in {probe:.0f} s"


def tools(item: Item) -> str:
    """What it offers and what that costs: `38 tools, ~5.2k tokens a prompt, 3 destructive`."""
    if item.get("tools") is None:
        return "not listed yet"
    parts = [when.plural(item["tools"], "tool")]
    if item.get("withheld"):
        parts.append(f"{item['withheld']} withheld until approved")
    if item.get("tokens"):
        parts.append(f"{when.tokens(item['tokens'])} tokens a prompt")
    if item.get("destructive"):
        parts.append(f"{item['destructive']} marked destructive")
    return ", ".join(parts)


def added(item: Item, look: Look) -> list[str]:
    """What was reached, at once: the value of `connect`."""
    head = look.paint(state(item, look), state_style(item))
    lines = [f"{safe(item['name'])}  {head}  {safe(address(item))}"]
    if item.get("reason"):
        lines.append(f"  {safe(item['reason'])}")
    if item.get("tools") is not None:
        lines.append(f"  {tools(item)}")
    return lines


def pinned(item: Item) -> str:
    """What it means for the tools there are that a connection was just pinned."""
    if item.get("tools") is None:
        return (
            f"pinned, and nothing is approved since it could not be listed:"
            f" meshctl tool approve {item['name']}"
        )
    known = when.plural(item["tools"], "tool")
    held = f", {item['withheld']} withheld" if item.get("withheld") else ""
    return f"pinned: {known} approved as listed now{held}; what changes is withheld until approved"


def next_steps(item: Item) -> list[str]:
    """The commands that probably follow on adding it."""
    name = item["name"]
    if item["state"] == "needs_login":
        return [f"meshctl connection edit {name} --header 'Authorization: Bearer …'"]
    if item["state"] == "failing":
        return [f"meshctl connection test {name}"]
    return [f"meshctl tool list {name}", f"meshctl add-key NAME --allow {name}"]


def tested(answer: Mapping[str, Any], look: Look) -> list[str]:
    """A fresh round trip: as `added`, with the server's name, protocol and milliseconds."""
    about = [answer.get("server"), answer.get("protocol") and f"MCP {answer['protocol']}"]
    facts = ", ".join(safe(str(fact)) for fact in about if fact)
    took = f"answered in {when.millis(answer['duration_ms'])}"
    return [*added(answer["connection"], look), f"  {took}{', ' if facts else ''}{facts}"]


def _rests(idle: int | None) -> str:
    """When its program is stopped; nothing where there is none."""
    if idle is None:
        return ""
    return f"after {when.duration(idle)} without use" if idle else "never"


def _count(number: int | None) -> str:
    return "-" if number is None else str(number)

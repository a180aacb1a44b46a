"""How a tool's definition changed: a unified diff that a person can read."""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from typing import Any

from meshctl.render import when
from meshctl.render.columns import Item
from meshctl.render.look import Look
from meshctl.render.safe import safe

_STYLES = {"+": "green", "-": "red", "@": "dim"}
_ORDER = ("title", "description", "inputSchema", "outputSchema", "annotations")


def place(item: Item) -> str:
    """The tool as a command names it."""
    return f"{item['connection']}/{item['tool']}"


def diff(item: Item, look: Look) -> list[str]:
    """A heading and the lines that differ; hidden characters are shown as escapes."""
    held = " (withheld)" if item["withheld"] else ""
    fields = f": {', '.join(map(safe, item['fields']))}" if item["fields"] else ""
    before, after = _lines(item.get("before")), _lines(item.get("after"))
    named = safe(place(item))
    found = list(unified_diff(before, after, f"{named} before", f"{named} now", lineterm=""))
    if not found:
        found = [
            "  the same words, with a member that is there twice or a number written otherwise"
        ]
    return [
        look.paint(f"{named}  {item['change']}{held}{fields}", "bold"),
        *(look.paint(line, _STYLES.get(line[:1], "")) for line in found),
        "",
    ]


def counted(items: Sequence[Item]) -> str:
    """What is about to be approved: `2 tools of notes as shown`."""
    names = ", ".join(dict.fromkeys(safe(item["connection"]) for item in items))
    return f"{when.plural(len(items), 'tool')} of {names} as shown"


def approved(item: Item) -> str:
    """What an approval did."""
    gone = item["change"] == "removed"
    return f"{'forgot' if gone else 'approved'} {safe(place(item))}"


def _lines(definition: Mapping[str, Any] | None) -> list[str]:
    """A definition in a fixed order, each of its members in lines of its own."""
    return [safe(line) for line in _members(definition)] if definition is not None else []


def _members(definition: Mapping[str, Any]) -> Iterator[str]:
    known = [name for name in _ORDER if name in definition]
    for name in [*known, *sorted(definition.keys() - {*known, "name"})]:
        value = definition[name]
        shown = value if isinstance(value, str) else _json(value)
        yield f"{name}:"
        yield from (f"  {line}" for line in shown.split("\n"))


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)

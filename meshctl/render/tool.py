"""Tools: their table, their card, and the text of what a tool answered."""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any

from meshctl.render import when
from meshctl.render.columns import Column, Item, Pairs, Table
from meshctl.render.look import Look
from meshctl.render.safe import safe, safe_block


def table(look: Look) -> Table:
    """`tool list`; a tool is named as a grant names it, `connection/tool`."""
    return Table(
        (
            Column("CONNECTION", lambda t: str(t["connection"])),
            Column("TOOL", lambda t: str(t["name"])),
            Column("MARKED", lambda t: marked(t, look), style=_marked_style),
            Column("TOKENS", lambda t: when.tokens(t.get("tokens")), align="right"),
            Column("DESCRIPTION", _summary, flex=True),
        ),
        key=lambda t: f"{t['connection']}/{t['name']}",
    )


def marked(item: Item, look: Look) -> str:
    """That nobody is served it, else what the server claims of its effects; `-` for nothing."""
    if item.get("withheld"):
        return f"{look.mark('bad')} withheld: {item['withheld']}"
    if item.get("destructive"):
        return f"{look.mark('bad')} destructive"
    return "read-only" if item.get("read_only") else "-"


def card(item: Item, look: Look) -> Pairs:
    """`tool show`: with its arguments, one a line."""
    pairs = [
        ("tool", item["name"]),
        ("connection", item["connection"]),
        ("title", item.get("title")),
        ("marked", marked(item, look)),
        ("tokens", when.tokens(item.get("tokens"))),
        ("arguments", "\n".join(_arguments(item.get("schema") or {})) or "none"),
        ("about", item.get("description", "").strip()),
    ]
    return [(label, value) for label, value in pairs if value]


def content(result: Mapping[str, Any]) -> list[str]:
    """The text of an MCP `CallToolResult`; other kinds of content as a one-line note."""
    blocks = result.get("content")
    parts = [_block(block) for block in blocks] if isinstance(blocks, list) else []
    if not parts and result.get("structuredContent") is not None:
        parts = [json.dumps(result["structuredContent"], indent=2, ensure_ascii=False)]
    return [line for part in parts for line in safe_block(part).split("\n")]


def _block(block: Any) -> str:
    if not isinstance(block, dict):
        return "[content of no known kind]"
    match block.get("type"):
        case "text":
            return str(block.get("text", ""))
        case "image" | "audio" as kind:
            return _note(kind, block.get("mimeType"), _bytes(block.get("data")))
        case "resource_link":
            return _note("link", block.get("uri"), block.get("mimeType"))
        case "resource":
            return _resource(block.get("resource"))
        case other:
            return _note(other)


def _resource(held: Any) -> str:
    if not isinstance(held, dict):
        return "[resource]"
    text = held.get("text")
    length = when.size(len(text.encode())) if isinstance(text, str) else _bytes(held.get("blob"))
    return _note("resource", held.get("uri"), held.get("mimeType"), length)


def _note(word: Any, *facts: Any) -> str:
    """`[image image/png, 12 KiB]`: the kind, then what is known of it."""
    known = ", ".join(safe(str(fact)) for fact in facts if fact)
    return f"[{safe(str(word))}{' ' if known else ''}{known}]"


def _bytes(data: Any) -> str | None:
    try:
        return when.size(len(base64.b64decode(data, validate=True)))
    except (TypeError, ValueError, binascii.Error):
        return None


def _arguments(schema: Mapping[str, Any]) -> Iterator[str]:
    properties = schema.get("properties")
    required = schema.get("required")
    needed = required if isinstance(required, list) else []
    for name, described in (properties if isinstance(properties, dict) else {}).items():
        about = described if isinstance(described, dict) else {}
        typed = about.get("type", "any")
        words = " or ".join(map(str, typed)) if isinstance(typed, list) else str(typed)
        head = f"{name}={words}{'' if name in needed else ' (optional)'}"
        summary = _first_line(about.get("description"))
        yield f"{head}  {summary}" if summary else head


def _summary(item: Item) -> str:
    return _first_line(item.get("description")) or _first_line(item.get("title"))


def _first_line(text: Any) -> str:
    return text.strip().split("\n", 1)[0] if isinstance(text, str) else ""


def _marked_style(item: Item) -> str:
    return "yellow" if item.get("withheld") or item.get("destructive") else ""

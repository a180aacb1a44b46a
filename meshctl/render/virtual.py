"""Virtual MCPs: their table, their card, and the lines about what was done to one."""

import json
from collections.abc import Iterator

from meshctl.render import when
from meshctl.render.columns import Column, Item, Pairs, Table
from meshctl.render.look import Look
from meshctl.render.safe import safe


def table(look: Look) -> Table:
    """`virtual list`."""
    return Table(
        (
            Column("NAME", lambda v: str(v["name"])),
            Column("STATE", state, style=lambda v: "" if v["enabled"] else "dim"),
            Column("MODE", lambda v: str(v["mode"])),
            Column("OF", lambda v: " ".join(child["name"] for child in v["children"]), flex=True),
            Column("TOOLS", lambda v: str(v["tools"]), align="right"),
            Column("MAKER", lambda v: str(v["maker"])),
            Column("CREATED", lambda v: when.age(v["created_at"], look.now)),
            Column("ID", lambda v: str(v["id"])),
        )
    )


def card(item: Item, look: Look) -> Pairs:
    """`virtual show`."""
    pairs = [
        ("name", item["name"]),
        ("id", item["id"]),
        ("state", state(item)),
        ("description", item["description"]),
        ("instructions", item.get("instructions")),
        ("mode", item["mode"]),
        ("naming", item["naming"]),
        ("tools", str(item["tools"])),
        *((f"as {mode}", cost(size)) for mode, size in item.get("sizes", {}).items()),
        *((child["name"], "\n".join(selected(child))) for child in item["children"]),
        ("maker", item["maker"]),
        ("owner", item["owner"]),
        ("created", when.stamp(item["created_at"], look.now)),
    ]
    return [(label, value) for label, value in pairs if value]


def state(item: Item) -> str:
    """Whether it is served."""
    return "enabled" if item["enabled"] else "disabled"


def cost(size: Item) -> str:
    """What a list costs: `38 tools, 21 KiB, ~5.2k tokens`."""
    tools, tokens = when.plural(size["tools"], "tool"), when.tokens(size["tokens"])
    return f"{tools}, {when.size(size['bytes'])}, {tokens} tokens"


def selected(child: Item) -> Iterator[str]:
    """What is taken of a child, a line a kind, and a line for each thing said of a tool."""
    kinds = [(kind, child.get(kind)) for kind in ("tools", "resources", "prompts")]
    if all(patterns is None for _, patterns in kinds):
        yield "everything"
    else:
        for kind, patterns in kinds:
            shown = "all" if patterns is None else " ".join(patterns) or "none"
            yield f"{kind}: {shown}"
    for tool, override in child["overrides"].items():
        if override.get("name"):
            yield f"{tool} is called {override['name']}"
        if override.get("description"):
            yield f"{tool} is described as {override['description']}"
        for name in override.get("hidden", ()):
            yield f"{tool}.{name} is hidden"
        for name, value in override.get("pinned", {}).items():
            yield f"{tool}.{name} is {json.dumps(value, ensure_ascii=False)}"


def made(item: Item) -> str:
    """The line about a new one."""
    of = " ".join(child["name"] for child in item["children"]) or "nothing yet"
    tools = when.plural(item["tools"], "tool")
    return safe(f'virtual MCP "{item["name"]}" of {of}: {tools}  {item["id"]}')


def detached(item: Item, child: str) -> str:
    """The line about a child that was taken out."""
    return safe(f'took {child} out of "{item["name"]}": {when.plural(item["tools"], "tool")} left')

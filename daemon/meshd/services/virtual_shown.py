"""Virtual MCPs as their operators are shown them. Pure."""

from collections.abc import Callable, Mapping

from msgspec import Raw

from meshd.core.clock import iso
from meshd.services.virtual_graph import Known, Virtuals, exposed
from meshd.services.virtual_rows import ChildRow, Override, VirtualRow
from meshd.wire.virtual import ToolOverride, Virtual, VirtualChild


def shown(
    virtuals: Virtuals, row: VirtualRow, name_of: Callable[[str], str], known: Known
) -> Virtual:
    """One of them, with the names of what it is made of."""
    tools = {tool.name for tool in exposed(virtuals, row, name_of, known)}
    return Virtual(
        id=row.id, name=row.name, description=row.description, instructions=row.instructions,
        mode=row.mode, naming=row.naming, enabled=row.enabled, tools=len(tools),
        children=[
            _child(child, name_of(child.child), within=child.child in virtuals)
            for child in row.children
        ],
        maker=row.maker.name, owner=row.maker.owner, created_at=iso(row.created_at),
    )  # fmt: skip


def _child(child: ChildRow, name: str, *, within: bool) -> VirtualChild:
    """`within`: whether it is a virtual MCP itself."""
    return VirtualChild(
        id=child.child, name=name, kind="virtual" if within else "connection",
        tools=_patterns(child.tools), resources=_patterns(child.resources),
        prompts=_patterns(child.prompts), overrides=_overrides(child.overrides),
    )  # fmt: skip


def _patterns(patterns: tuple[str, ...] | None) -> list[str] | None:
    return None if patterns is None else list(patterns)


def _overrides(overrides: Mapping[str, Override]) -> dict[str, ToolOverride]:
    return {
        tool: ToolOverride(
            name=one.name, description=one.description, hidden=list(one.hidden),
            pinned={name: Raw(value) for name, value in one.pinned.items()},
        )
        for tool, one in overrides.items()
    }  # fmt: skip

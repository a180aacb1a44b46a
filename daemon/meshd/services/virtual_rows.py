"""Virtual MCPs as the snapshot holds them: what they are made of, and the scope they run under."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Raw, Struct

from meshd.services.principal import Principal
from meshd.services.subscription_rows import read_maker
from meshd.store.db import Row
from meshd.wire import virtual as wire

VIRTUAL = "virtual"
"""The transport of a virtual MCP, which is asked through the upstreams of its children."""

Mode = wire.Mode
Naming = wire.Naming


class _StoredOverride(Struct):
    name: str | None
    description: str | None
    hidden: tuple[str, ...]
    pinned: dict[str, Raw]


_decode_overrides = msgspec.json.Decoder(dict[str, _StoredOverride]).decode


@dataclass(frozen=True, slots=True)
class Override:
    """How one tool of a child is shown and called otherwise. None leaves what the child says.

    `name` stands for the tool's own one: where names are prefixed, a prefix goes before it too.
    Arguments that are `hidden` are neither shown nor taken; those that are `pinned` have that JSON
    value in every call, and are not shown either.
    """

    name: str | None = None
    description: str | None = None
    hidden: tuple[str, ...] = ()
    pinned: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChildRow:
    """A connection or another virtual MCP within one, by id. None selects all, `()` nothing.

    Patterns are globs over the child's own names; a virtual MCP's own are those that it exposes.
    `overrides` are by such a name of a tool.
    """

    child: str
    tools: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    prompts: tuple[str, ...] | None = None
    overrides: Mapping[str, Override] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VirtualRow:
    """A virtual MCP as configured. `revision` names this state, that of its children not included.

    `edition` counts what was edited: who edits names the one it read.
    """

    id: str
    org: str
    name: str
    description: str
    instructions: str | None
    mode: Mode
    naming: Naming
    enabled: bool
    maker: Principal = field(compare=False)
    children: tuple[ChildRow, ...]
    edition: int
    created_at: int
    revision: str


def from_stored(rows: Iterable[Row], children: Iterable[Row]) -> dict[str, VirtualRow]:
    """Those of the tables, by id and in their order."""
    made_of: dict[str, list[Row]] = {}
    for child in children:
        made_of.setdefault(child["virtual_id"], []).append(child)
    return {row["id"]: _virtual(row, made_of.get(row["id"], [])) for row in rows}


def stored_child(child: ChildRow) -> dict[str, Any]:
    """The columns of a child, but for its place."""
    overrides = {
        tool: _StoredOverride(
            one.name,
            one.description,
            one.hidden,
            {name: Raw(value) for name, value in one.pinned.items()},
        )
        for tool, one in child.overrides.items()
    }
    return {
        "child_id": child.child,
        "tools": _stored_patterns(child.tools),
        "resources": _stored_patterns(child.resources),
        "prompts": _stored_patterns(child.prompts),
        "overrides": msgspec.json.encode(overrides).decode(),
    }


def _virtual(row: Row, children: list[Row]) -> VirtualRow:
    state = [
        *(row[name] for name in ("name", "description", "instructions", "mode", "naming")),
        *(row[name] for name in ("enabled", "maker")),
        *(list(child.values()) for child in children),
    ]
    return VirtualRow(
        id=row["id"],
        org=row["org_id"],
        name=row["name"],
        description=row["description"],
        instructions=row["instructions"],
        mode=row["mode"],
        naming=row["naming"],
        enabled=bool(row["enabled"]),
        maker=read_maker(row),
        children=tuple(map(_child, children)),
        edition=row["edition"],
        created_at=row["created_at"],
        revision=hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16],
    )


def _child(row: Row) -> ChildRow:
    return ChildRow(
        child=row["child_id"],
        tools=_patterns(row["tools"]),
        resources=_patterns(row["resources"]),
        prompts=_patterns(row["prompts"]),
        overrides={
            tool: Override(
                name=one.name,
                description=one.description,
                hidden=one.hidden,
                pinned={name: bytes(value) for name, value in one.pinned.items()},
            )
            for tool, one in _decode_overrides(row["overrides"]).items()
        },
    )


def _patterns(stored: str | None) -> tuple[str, ...] | None:
    return None if stored is None else tuple(json.loads(stored))


def _stored_patterns(patterns: tuple[str, ...] | None) -> str | None:
    return None if patterns is None else json.dumps(patterns)

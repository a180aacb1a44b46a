"""What differs between two lists of tools: by tool, by member, and as an event tells it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import Raw

from meshd.protocol.members import members
from meshd.services.definitions import Definitions
from meshd.services.fingerprint import fingerprint

Kind = Literal["added", "removed", "changed"]

MAX_TOLD = 100
"""Tools of each kind that an event names; the others are counted."""
MAX_NAME = 128
"""Characters of a name in an event. Names are the upstream's own."""


@dataclass(frozen=True, slots=True)
class Change:
    """One tool that is another now. `fields` are the members that differ, of one that changed."""

    tool: str
    kind: Kind
    fields: tuple[str, ...] = ()


def difference(before: Definitions, after: Definitions) -> list[Change]:
    """Every tool that differs: what there is now in its order, then what is gone."""
    changes = []
    for name, entry in after.entries.items():
        old = before.entries.get(name)
        if old is None:
            changes.append(Change(name, "added"))
        elif before.fingerprints[name] != after.fingerprints[name]:
            changes.append(Change(name, "changed", differing(old, entry)))
    gone = (name for name in before.entries if name not in after.entries)
    return [*changes, *(Change(name, "removed") for name in gone)]


def differing(before: Raw, after: Raw) -> tuple[str, ...]:
    """The members of a definition that differ."""
    old, new = members(before), members(after)
    return tuple(name for name in {**old, **new} if _print(old, name) != _print(new, name))


def _print(found: Mapping[str, Raw], name: str) -> str | None:
    return fingerprint(bytes(found[name])) if name in found else None


def told(connection: str, changes: list[Change]) -> dict[str, Any]:
    """The data of `mesh.tool.changed`: names alone, and how many there are beyond those."""
    names: dict[str, list[str]] = {"added": [], "removed": [], "changed": []}
    for change in changes:
        names[change.kind].append(change.tool[:MAX_NAME])
    more = sum(max(0, len(found) - MAX_TOLD) for found in names.values())
    shown = {kind: found[:MAX_TOLD] for kind, found in names.items()}
    return {"connection": connection, **shown, **({"more": more} if more else {})}

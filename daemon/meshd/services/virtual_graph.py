"""Virtual MCPs within virtual MCPs: who is made of what, and what that leads to. Pure.

Everything takes the virtual MCPs by id, so that a change can be judged before it is made.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from meshd.core.glob import glob_match
from meshd.services.directory import View
from meshd.services.exposed_names import fitting, prefixed
from meshd.services.virtual_rows import ChildRow, Naming, VirtualRow
from meshd.wire.errors import Conflict

MAX_DEPTH = 4
"""Virtual MCPs on the longest way from one down to a connection."""

MAX_WAYS = 200
"""Ways from a virtual MCP down to connections: what a list of it has to ask."""

SHOWN = 20
"""Names that an error lists."""

Virtuals = Mapping[str, VirtualRow]
Known = Callable[[str], Iterable[str]]
"""The names of a connection's tools as it last listed them, by the connection's id."""


@dataclass(frozen=True, slots=True)
class Exposed:
    """A tool of a virtual MCP: its name there, and which child calls it how."""

    name: str
    child: str
    own: str


def users_of(virtuals: Virtuals, child: str) -> list[VirtualRow]:
    """Those that are made of it, directly."""
    return [row for row in virtuals.values() if any(one.child == child for one in row.children)]


def check_unused(view: View, target: str, name: str) -> None:
    """Refuse to remove what others are made of.

    Raises:
        Conflict: a virtual MCP contains it.
    """
    users = [row.name for row in users_of(view.virtuals, target)]
    if users:
        more = f" and {len(users) - SHOWN} more" if len(users) > SHOWN else ""
        raise Conflict(
            f'"{name}" is part of a virtual MCP',
            facts={"used by": ", ".join(users[:SHOWN]) + more},
            next=f"meshctl virtual detach {users[0]} {name}",
        )


def check_shape(virtuals: Virtuals, changed: str) -> None:
    """Refuse a virtual MCP that contains itself, or too much; likewise for those that contain it.

    Raises:
        Conflict: it does.
    """
    name = virtuals[changed].name
    if changed in set(_below(virtuals, changed)):
        raise Conflict(f'"{name}" would contain itself')
    for row in affected(virtuals, changed):
        depth, ways = _extent(virtuals, row)
        if depth > MAX_DEPTH:
            raise Conflict(
                f'"{row.name}" would have virtual MCPs within each other {depth} deep',
                facts={"the most is": str(MAX_DEPTH)},
            )
        if ways > MAX_WAYS:
            raise Conflict(
                f'"{row.name}" would lead to {ways} connections',
                facts={"the most is": str(MAX_WAYS)},
            )


def check_names(
    virtuals: Virtuals, changed: str, name_of: Callable[[str], str], known: Known
) -> None:
    """Refuse a virtual MCP two tools of which would have one name; likewise those around it.

    Raises:
        Conflict: two would, as far as lists are known.
    """
    for row in affected(virtuals, changed):
        seen: dict[str, Exposed] = {}
        for tool in exposed(virtuals, row, name_of, known):
            other = seen.setdefault(tool.name, tool)
            if other is not tool:
                raise Conflict(
                    f'two tools of "{row.name}" would be called "{tool.name}"',
                    facts={"they are": f"{other.child}/{other.own} and {tool.child}/{tool.own}"},
                    next=f"meshctl virtual attach {row.name} {tool.child}"
                    f" --rename {tool.own}=OTHER",
                )


def affected(virtuals: Virtuals, changed: str) -> list[VirtualRow]:
    """The changed one and all that contain it, in any depth. Needs no cycle to be absent."""
    found = {changed: virtuals[changed]}
    waiting = [changed]
    while waiting:
        for row in users_of(virtuals, waiting.pop()):
            if row.id not in found:
                found[row.id] = row
                waiting.append(row.id)
    return list(found.values())


def exposed(
    virtuals: Virtuals, row: VirtualRow, name_of: Callable[[str], str], known: Known
) -> Iterator[Exposed]:
    """The tools that it selects, child after child. It must not contain itself."""
    for child in row.children:
        inner = virtuals.get(child.child)
        own = (
            known(child.child)
            if inner is None
            else dict.fromkeys(tool.name for tool in exposed(virtuals, inner, name_of, known))
        )
        its_name = name_of(child.child)
        for tool in own:
            if selects(child.tools, tool):
                yield Exposed(shown_name(row.naming, its_name, child, tool), its_name, tool)


def selects(patterns: Iterable[str] | None, name: str) -> bool:
    """Whether patterns of a child cover a name; None covers all."""
    return patterns is None or any(glob_match(pattern, name) for pattern in patterns)


def shown_name(naming: Naming, prefix: str, child: ChildRow, tool: str) -> str:
    """What a child's tool is called."""
    override = child.overrides.get(tool)
    name = tool if override is None or override.name is None else override.name
    return fitting(name) if naming == "plain" else prefixed(prefix, name)


def _below(virtuals: Virtuals, start: str) -> Iterator[str]:
    """What is within it, in any depth, once each."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        row = virtuals.get(waiting.pop())
        for child in row.children if row is not None else ():
            if child.child not in seen:
                seen.add(child.child)
                yield child.child
                waiting.append(child.child)


def _extent(virtuals: Virtuals, row: VirtualRow) -> tuple[int, int]:
    """How deep it goes, and how many ways lead from it to connections."""
    known: dict[str, tuple[int, int]] = {}

    def of(target: str) -> tuple[int, int]:
        inner = virtuals.get(target)
        if inner is None:
            return 0, 1
        if target not in known:
            parts = [of(child.child) for child in inner.children]
            known[target] = (
                1 + max((depth for depth, _ in parts), default=0),
                sum(ways for _, ways in parts),
            )
        return known[target]

    return of(row.id)

"""What a virtual MCP exposes, made of what its children have: names, selection, routes. Pure.

Where the children's lists come from, and who may see what of the result, is not decided here.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from msgspec import Raw

from meshd.core.glob import glob_match
from meshd.protocol.members import UNREADABLE, joined, members, text
from meshd.protocol.uri_template import UriTemplate, read_template
from meshd.services.definitions import Definition, read_tool
from meshd.services.exposed_names import fitting, prefixed
from meshd.services.overrides import filled, shown
from meshd.services.virtual_rows import ChildRow, Override
from meshd.wire.virtual import Naming

Thing = Literal["tool", "prompt", "resource", "template"]
"""What is listed; a template is one of resources."""

LABELS: Mapping[Thing, str] = {
    "tool": "name", "prompt": "name", "resource": "uri", "template": "uriTemplate",
}  # fmt: skip
"""The member that names an entry. URIs are kept: a client has them from the child's own texts."""
MAX_EXPOSED = 20_000
"""Entries of one kind that a virtual MCP has at most; more are withheld."""


def is_uri(thing: Thing) -> bool:
    """Whether such things are named by URIs, or by templates of them."""
    return LABELS[thing] != "name"


@dataclass(frozen=True, slots=True)
class Step:
    """One virtual MCP on the way, the name that it gives, and what it shows otherwise."""

    virtual: str
    name: str
    override: Override | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """From an exposed name to the thing itself: `steps` from the outermost inwards."""

    connection: str
    name: str
    steps: tuple[Step, ...] = ()

    def arguments(self, given: bytes) -> bytes:
        """A call's arguments as the upstream takes them.

        Raises:
            BadMessage: they hold what callers do not set, or repeat a member.
        """
        for step in self.steps:
            given = filled(given, step.override)
        return given


@dataclass(frozen=True)
class Exposed:
    """One entry. `entry` are its members as they are listed; `name` is what names it."""

    name: str
    entry: Mapping[str, Raw]
    route: Route
    read_only: bool = False

    @cached_property
    def raw(self) -> Raw:
        """As it stands in a list."""
        return Raw(joined(self.entry))

    @cached_property
    def definition(self) -> Definition:
        """The tool as it is shown."""
        return read_tool(self.raw)


@dataclass(frozen=True, slots=True)
class Part:
    """One child: its name, what of it is selected, and what it has."""

    name: str
    selected: ChildRow
    exposed: Sequence[Exposed]


@dataclass(frozen=True)
class Composed:
    """What is exposed of one kind, by name and in order.

    `withheld` is what is not, since another thing bears the name already.
    """

    exposed: Mapping[str, Exposed] = field(default_factory=dict)
    withheld: tuple[Exposed, ...] = ()

    @cached_property
    def others(self) -> Mapping[str, list[Exposed]]:
        """By name: what would be exposed if it were not for the thing that is."""
        found: dict[str, list[Exposed]] = {}
        for one in self.withheld:
            if one.name in self.exposed:
                found.setdefault(one.name, []).append(one)
        return found

    @cached_property
    def templates(self) -> tuple[tuple[UriTemplate, Exposed], ...]:
        """Of a list of templates: all that can match, those with the most literal text first."""
        found = [
            (read, one)
            for name, first in self.exposed.items()
            if (read := read_template(name)) is not None
            for one in (first, *self.others.get(name, ()))
        ]
        return tuple(sorted(found, key=lambda each: -each[0].literal))

    @property
    def held(self) -> dict[str, Route]:
        """Which thing bears each name."""
        return {name: one.route for name, one in self.exposed.items()}


def of_connection(connection: str, thing: Thing, entries: Iterable[Raw]) -> list[Exposed]:
    """What a connection lists; an entry without a name, or one that repeats another's, is none."""
    found: dict[str, Exposed] = {}
    for entry in entries:
        read = members(entry)
        name = text(read.get(LABELS[thing]))
        if name is None or name in found:
            continue
        reads_only = False
        if thing == "tool":
            try:
                reads_only = read_tool(entry).read_only
            except UNREADABLE:
                continue
        found[name] = Exposed(name, read, Route(connection, name), reads_only)
    return list(found.values())


def compose(
    virtual: str,
    naming: Naming,
    thing: Thing,
    parts: Sequence[Part],
    before: Mapping[str, Route] | None = None,
    absent: Collection[str] = (),
) -> Composed:
    """What a virtual MCP exposes of its children.

    Of two things that want one name, that one has it which had it `before`: what comes later is
    withheld, so that no upstream takes another's name. That holds as well while the one before is
    of a connection that is `absent`: part of it, but without a list at present. Where none had it,
    nobody can tell who came later: none has the name. A URI, which nobody can rename, goes to the
    first of the parts then.
    """
    wanted: dict[str, list[Exposed]] = {}
    for part in parts:
        patterns = _patterns(part.selected, thing)
        for own in part.exposed:
            if patterns is None or any(glob_match(pattern, own.name) for pattern in patterns):
                made = _exposed(virtual, naming, thing, part, own)
                wanted.setdefault(made.name, []).append(made)
    exposed: dict[str, Exposed] = {}
    withheld: list[Exposed] = []
    for name, those in wanted.items():
        holder = (before or {}).get(name)
        first = next((one for one in those if _target(one.route) == _target(holder)), None)
        taken = holder is not None and holder.connection in absent
        if first is None and (len(those) == 1 or is_uri(thing)):
            first = those[0]
        if first is not None and len(exposed) < MAX_EXPOSED and not taken:
            exposed[name] = first
        withheld += [one for one in those if exposed.get(name) is not one]
    return Composed(exposed, tuple(withheld))


def _exposed(virtual: str, naming: Naming, thing: Thing, part: Part, own: Exposed) -> Exposed:
    override = part.selected.overrides.get(own.name) if thing == "tool" else None
    if is_uri(thing):
        name, entry = own.name, own.entry
    else:
        given = override.name if override is not None and override.name is not None else own.name
        name = prefixed(part.name, given) if naming == "prefixed" else fitting(given)
        entry = shown(own.entry, name, override)
    step = Step(virtual, name, override)
    route = Route(own.route.connection, own.route.name, (step, *own.route.steps))
    return Exposed(name, entry, route, own.read_only)


def _patterns(selected: ChildRow, thing: Thing) -> tuple[str, ...] | None:
    if thing == "tool":
        return selected.tools
    return selected.prompts if thing == "prompt" else selected.resources


def _target(route: Route | None) -> tuple[str, str] | None:
    return None if route is None else (route.connection, route.name)

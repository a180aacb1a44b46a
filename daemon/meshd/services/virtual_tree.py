"""A virtual MCP with everything that it is made of at present: a tree whose leaves are connections.

What is disabled, gone, of another org, or would lead round in a circle is no part of it.
"""

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from meshd.services.composing import Composed, Exposed, Part, Route, Thing, compose, is_uri
from meshd.services.directory import ConnectionRow, View
from meshd.services.principal import Principal
from meshd.services.virtual_graph import MAX_DEPTH
from meshd.services.virtual_rows import ChildRow, VirtualRow
from meshd.wire.virtual import Naming

DEFAULT = "/mcp"
"""The id of an org's default virtual MCP, which nobody made and no grant names; no name either."""

Held = MutableMapping[tuple[str, Thing], Mapping[str, Route]]
"""By virtual MCP of one org and kind: which thing bears each name."""

Dispute = Callable[[str, Thing, Mapping[str, Route]], None]
"""Told a virtual MCP's id, a kind, and who bears the names that several things want."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A child, and what of it is selected."""

    selected: ChildRow
    child: "ConnectionRow | Node"


@dataclass(frozen=True, slots=True)
class Node:
    """One virtual MCP. `maker` is the scope that it was made with; the default one has none."""

    id: str
    name: str
    naming: Naming
    maker: Principal | None = field(compare=False)
    branches: tuple[Branch, ...]

    def nodes(self) -> "Iterator[Node]":
        """Itself and the virtual MCPs in it."""
        yield self
        for branch in self.branches:
            if isinstance(branch.child, Node):
                yield from branch.child.nodes()

    def connections(self) -> dict[str, ConnectionRow]:
        """The leaves by id, each once."""
        return {
            branch.child.id: branch.child
            for node in self.nodes()
            for branch in node.branches
            if isinstance(branch.child, ConnectionRow)
        }

    def ids(self) -> frozenset[str]:
        """Of everything in it that a grant can name."""
        virtuals = {node.id for node in self.nodes() if node.id != DEFAULT}
        return frozenset(virtuals | self.connections().keys())


def grown(view: View, row: VirtualRow, above: tuple[str, ...] = ()) -> Node:
    """The tree of a virtual MCP; `above` are those that it is within."""
    branches = []
    for selected in row.children:
        leaf, within = view.connections.get(selected.child), view.virtuals.get(selected.child)
        if leaf is not None and leaf.org == row.org and leaf.enabled:
            branches.append(Branch(selected, leaf))
        elif (
            within is not None
            and (within.org, within.enabled) == (row.org, True)
            and within.id not in (*above, row.id)
            and len(above) + 1 < MAX_DEPTH
        ):
            branches.append(Branch(selected, grown(view, within, (*above, row.id))))
    return Node(row.id, row.name, row.naming, row.maker, tuple(branches))


def grown_default(view: View, org: str) -> Node:
    """The tree of an org's default virtual MCP: every connection that is enabled."""
    leaves = sorted(
        (row for row in view.connections.values() if row.org == org and row.enabled),
        key=lambda row: row.name,
    )
    branches = tuple(Branch(ChildRow(row.id), row) for row in leaves)
    return Node(DEFAULT, "mcp", "prefixed", None, branches)


def compose_tree(
    node: Node,
    thing: Thing,
    lists: Mapping[str, Sequence[Exposed]],
    held: Held,
    dispute: Dispute = lambda _virtual, _thing, _bearers: None,
) -> Composed:
    """What it exposes, from what each of its connections lists; `held` is brought up to date.

    `dispute` is told of names that more than one thing wants, where they are not those of URIs.
    """
    parts = []
    for branch in _in_turn(node, thing):
        if isinstance(branch.child, Node):
            inner = compose_tree(branch.child, thing, lists, held, dispute)
            exposed: Sequence[Exposed] = [*inner.exposed.values()]
            if is_uri(thing):  # each may be the only one that somebody may use
                exposed = [*exposed, *chain.from_iterable(inner.others.values())]
        else:
            exposed = lists.get(branch.child.id, ())
        parts.append(Part(branch.child.name, branch.selected, exposed))
    before = held.get((node.id, thing), {})
    absent = node.connections().keys() - lists.keys()
    made = compose(node.id, node.naming, thing, parts, before, absent)
    kept = {name: route for name, route in before.items() if route.connection in absent}
    held[node.id, thing] = {**kept, **made.held}
    if made.others and not is_uri(thing):
        dispute(node.id, thing, {name: made.exposed[name].route for name in made.others})
    return made


def _in_turn(node: Node, thing: Thing) -> Sequence[Branch]:
    """The children in order; who came first is the first to have a URI."""
    if node.id != DEFAULT or not is_uri(thing):
        return node.branches
    return sorted(node.branches, key=_age)


def _age(branch: Branch) -> int:
    return branch.child.created_at if isinstance(branch.child, ConnectionRow) else 0

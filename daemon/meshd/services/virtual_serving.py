"""Virtual MCPs at work: what one exposes to whom, and where each name leads.

Decisions are `access.decide`'s; how clients are answered is not told here.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from meshd.protocol.versions import Era
from meshd.services.access import Decision, Kind, Way, decide, permission_set, scope_at
from meshd.services.child_lists import ChildLists, Seen
from meshd.services.composing import Composed, Exposed, Thing, is_uri
from meshd.services.directory import ConnectionRow, Directory, View
from meshd.services.held_names import HeldNames
from meshd.services.principal import Principal
from meshd.services.recovering import TOOL
from meshd.services.tool_search import ToolIndex
from meshd.services.tools import Tools
from meshd.services.virtual_lookup import chosen, of_template
from meshd.services.virtual_rows import VIRTUAL, VirtualRow
from meshd.services.virtual_tree import DEFAULT, Node, compose_tree, grown, grown_default
from meshd.wire.errors import Conflict, Denied, NotFound, Unauthenticated, Unavailable
from meshd.wire.virtual import Mode

MAX_ALLOWED = 128
"""Lists that are kept as different principals see them."""
MAX_COMPOSED = 1000

PASSTHROUGH: Mode = "passthrough"


@dataclass(frozen=True, slots=True)
class VirtualTarget(ConnectionRow):
    """A virtual MCP where a connection is expected, as it stands for one request."""

    node: Node = field(kw_only=True, compare=False)
    who: Principal = field(kw_only=True, compare=False)
    mode: Mode = field(kw_only=True, default=PASSTHROUGH)
    era: Era = field(kw_only=True, default="handshake")
    instructions: str | None = field(kw_only=True, default=None)
    judged: "Judged | None" = field(kw_only=True, default=None, compare=False)


class Reached(NamedTuple):
    """Where a name leads, whether one may go there, and where the grant for that would belong.

    What is `repeatable` may be asked for again when its upstream broke off.
    """

    exposed: Exposed
    row: ConnectionRow
    decision: Decision
    fix_at: ConnectionRow
    repeatable: bool


class Judged(NamedTuple):
    """Where the one request that a target is for was found to lead: None for nowhere."""

    reached: Reached | None


@dataclass(slots=True)
class Allowed:
    """What one permission set sees of one kind. `making` lets what is made of it be made once."""

    key: Hashable
    composed: Composed
    exposed: tuple[Exposed, ...]
    withheld: tuple[Exposed, ...] = ()
    index: ToolIndex | None = None
    making: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)


_Kept = tuple[Node, tuple[bytes, ...], Composed]
"""Of what tree and of which lists something was composed."""
_Makers = Mapping[str, tuple[tuple[Principal, ...], str | None]]


class VirtualServing:
    """Finds, composes and decides."""

    def __init__(
        self, directory: Directory, tools: Tools, lists: ChildLists, names: HeldNames
    ) -> None:
        self._directory = directory
        self._tools = tools
        self._lists = lists
        self._composed: OrderedDict[tuple[str, str, Thing], _Kept] = OrderedDict()
        self._allowed: OrderedDict[Hashable, Allowed] = OrderedDict()
        self._names = names
        self._grown_of: View | None = None
        self._grown: dict[tuple[str, str], Node] = {}

    def named(self, who: Principal, name: str) -> VirtualRow | None:
        """The virtual MCP of that name or id in the principal's org."""
        view = self._directory.view
        row = view.virtuals.get(name) or view.virtual_by_name.get((who.org, name.casefold()))
        return row if row is not None and row.org == who.org else None

    def find(self, who: Principal, name: str) -> VirtualTarget:
        """The one of that name or id, or the org's default one for an empty name.

        Raises:
            NotFound: there is none.
            Denied: the principal holds no grant on it, nor on anything in it.
            Unavailable: it is disabled.
        """
        if name in {"", DEFAULT}:
            return self._target(who, None)
        row = self.named(who, name)
        if row is None:
            raise NotFound("there is no such connection")
        target = self._target(who, row)
        if not any(scope_at(who, ident).any for ident in target.node.ids()):
            raise Denied(
                f'key "{who.name}" holds no grant on "{row.name}"',
                next=f"meshctl key edit {who.name} --allow {row.name}",
            )
        if not row.enabled:
            raise Unavailable(
                f'virtual MCP "{row.name}" is disabled', next=f"meshctl virtual enable {row.name}"
            )
        return target

    def serves(self, target: VirtualTarget) -> bool:
        """Whether it is still there to be served."""
        if target.id == DEFAULT:
            return True
        row = self._directory.view.virtuals.get(target.id)
        return row is not None and row.enabled

    def present(self, target: VirtualTarget) -> tuple[Node, Mode]:
        """Its tree and mode as they stand now. An empty tree where there is none any more."""
        row = self._directory.view.virtuals.get(target.id)
        if row is None and target.id != DEFAULT:
            return Node(target.id, "", "prefixed", None, ()), target.mode
        return self._tree(target.org, row), row.mode if row is not None else PASSTHROUGH

    async def allowed(
        self, target: VirtualTarget, thing: Thing
    ) -> tuple[Allowed, Mapping[str, Seen]]:
        """What its principal may use, and what is known of each connection that concerns it."""
        if (target.org, target.id, thing) not in self._composed:
            # Whoever bore a name by the lists that were stored bore it before any newer list.
            await self._lists.read_known(target.node.connections().values(), thing)
            self._compose(target, thing)
        seen = await self._lists.seen(_concerning(target), thing)
        composed = self._compose(target, thing)
        makers = self._makers(target.node)
        bounds = tuple((paused, *map(permission_set, scopes)) for scopes, paused in makers.values())
        key = (target.org, target.id, thing, permission_set(target.who), bounds)
        kept = self._allowed.get(key)
        if kept is None or kept.composed is not composed:
            kind = _kind(thing)

            def may(one: Exposed) -> bool:
                decision = self._decide(target.who, kind, one, makers, reads_only=one.read_only)
                return bool(decision)

            exposed = tuple(chosen(composed, thing, may))
            shown = set(map(id, exposed))
            listed = composed.exposed.values() if thing == "template" else ()
            everything = (*composed.withheld, *filter(may, listed))
            withheld = tuple(
                one
                for one in everything
                if id(one) not in shown
                and decide(
                    target.who, one.route.connection, kind, one.route.name, reads_only=lambda: True
                )
            )
            kept = self._allowed[key] = Allowed(key, composed, exposed, withheld)
        self._allowed.move_to_end(key)
        if len(self._allowed) > MAX_ALLOWED:
            self._allowed.popitem(last=False)
        return kept, seen

    async def reach(self, target: VirtualTarget, thing: Thing, name: str) -> Reached | None:
        """Where a name leads; None where it leads nowhere. Decided by what is so after any wait.

        Raises:
            Unauthenticated: its key was revoked while somebody was asked for a list.
            NotFound, Denied, Unavailable: likewise, the virtual MCP is not there for it any more.
            Conflict: the connection changed while it was asked for the tool's annotation.
            UpstreamFailed and the like: that annotation cannot be had.
        """
        found = self._known(target, thing, name)
        for one in () if found is not None else _listed(thing):
            await self._lists.seen(_concerning(target), one)
            target = self._still(target)
            if (found := self._known(target, thing, name)) is not None:
                break
        if found is None:
            return None
        row = target.node.connections()[found.route.connection]
        makers = self._makers(target.node)
        reads_only = found.read_only
        bounded = [target.who, *(scope for scopes, _ in makers.values() for scope in scopes)]
        asks = thing == "tool" and (row.pinned or any(one.read_only for one in bounded))
        if asks and self._decide(target.who, "tool", found, makers, reads_only=True):
            reads_only = await self._tools.reads_only(row, found.route.name)
            target = self._still(target)
            now = self._known(target, thing, name)
            if now is None:
                return None
            if now.route != found.route or self._revision(target, row) != row.revision:
                raise Conflict(f'"{row.name}" changed meanwhile')
            found, makers = now, self._makers(target.node)
        decision = self._decide(
            target.who, _kind(thing), found, makers, reads_only=reads_only,
            approved=lambda: thing != "tool" or self._tools.stands(row, found.route.name),
        )  # fmt: skip
        below = decision.below or target.id == DEFAULT
        again = thing != "tool" or self._tools.may_repeat(row, TOOL, found.route.name)
        return Reached(found, row, decision, row if below else target, again)

    def paused(self, target: VirtualTarget) -> list[dict[str, str]]:
        """Which virtual MCPs in it convey nothing at present, and why."""
        names = {node.id: node.name for node in target.node.nodes()}
        return [
            {"virtual": names[ident], "reason": paused}
            for ident, (_, paused) in self._makers(target.node).items()
            if paused is not None
        ]

    def _tree(self, org: str, row: VirtualRow | None) -> Node:
        """The tree as the present snapshot has it; grown once for each."""
        view, key = self._directory.view, (org, row.id if row is not None else DEFAULT)
        if view is not self._grown_of:
            self._grown_of, self._grown = view, {}
            self._lists.forget_others(view.connections)
            self._names.keep_only(view.virtuals.keys() | {DEFAULT})
        node = self._grown.get(key)
        if node is None:
            node = grown(view, row) if row is not None else grown_default(view, org)
            self._grown[key] = node
        return node

    def _target(self, who: Principal, row: VirtualRow | None) -> VirtualTarget:
        node = self._tree(who.org, row)
        return VirtualTarget(
            id=node.id, org=who.org, name=node.name, transport=VIRTUAL, url=None, command=(),
            cwd=None, bodies="off", enabled=True, created_at=0, sealed=(),
            revision=row.revision if row else "", state="ready", reason=None, seen_at=None,
            node=node, who=who, mode=row.mode if row else PASSTHROUGH,
            instructions=row.instructions if row else None,
        )  # fmt: skip

    def _still(self, target: VirtualTarget) -> VirtualTarget:
        """The target as it stands after a wait. Raises as `find`, and Unauthenticated."""
        if (present := target.who.present()) is None:
            raise Unauthenticated
        return replace(target, who=present, node=self.find(present, target.id).node)

    def _revision(self, target: VirtualTarget, row: ConnectionRow) -> str:
        return target.node.connections()[row.id].revision

    def _known(self, target: VirtualTarget, thing: Thing, name: str) -> Exposed | None:
        """Where a name leads by what is known now; of several, to what its principal may use."""
        composed, makers = self._compose(target, thing), self._makers(target.node)
        kind = _kind(thing)

        def may(one: Exposed) -> bool:
            return bool(self._decide(target.who, kind, one, makers, reads_only=one.read_only))

        if (first := composed.exposed.get(name)) is not None:
            if not is_uri(thing):
                return first
            return next(filter(may, (first, *composed.others.get(name, ()))), first)
        if thing != "resource":
            return None
        return of_template(self._compose(target, "template"), name, may)

    def _compose(self, target: VirtualTarget, thing: Thing) -> Composed:
        """Of everything that is known, whomever it concerns: names depend on no principal."""
        key = (target.org, target.id, thing)
        seen = self._lists.known(target.node.connections().values(), thing)
        lists = {ident: one.entries for ident, one in seen.items() if one.entries is not None}
        stamps = tuple(seen[ident].stamp if ident in lists else b"" for ident in seen)
        kept = self._composed.get(key)
        if kept is None or kept[1] != stamps or kept[0] != target.node:
            made = compose_tree(
                target.node, thing, lists, self._names.of(target.org),
                partial(self._names.dispute, target.org),
            )  # fmt: skip
            kept = self._composed[key] = (target.node, stamps, made)
        elif kept[0] is not target.node:
            kept = self._composed[key] = (target.node, *kept[1:])
        self._composed.move_to_end(key)
        if len(self._composed) > MAX_COMPOSED:
            (org, ident, least), _ = self._composed.popitem(last=False)
            self._names.forget(org, ident, least)
        return kept[2]

    def _makers(self, node: Node) -> _Makers:
        """By virtual MCP: the scopes that bound what it conveys, and why it conveys nothing."""
        found: dict[str, tuple[tuple[Principal, ...], str | None]] = {}
        for one in node.nodes():
            maker = one.maker
            if maker is None:
                continue
            found[one.id] = ((maker,), None)
            if maker.kind == "key":
                present = self._directory.key_now(maker.id)
                gone = present is None
                why = f"the key {maker.name}, which made it, was revoked or has expired"
                scopes = (maker,) if present is None else (maker, present)
                found[one.id] = (scopes, why if gone else None)
        return found

    def _decide(
        self,
        who: Principal,
        kind: Kind,
        one: Exposed,
        makers: _Makers,
        *,
        reads_only: bool,
        approved: Callable[[], bool] = lambda: True,
    ) -> Decision:
        ways = [
            Way(step.virtual, step.name, *makers[step.virtual])
            for step in one.route.steps
            if step.virtual != DEFAULT
        ]
        route = one.route
        return decide(
            who,
            route.connection,
            kind,
            route.name,
            reads_only=lambda: reads_only,
            approved=approved,
            ways=ways,
        )


def _concerning(target: VirtualTarget) -> list[ConnectionRow]:
    """The connections that its principal has to do with; no others are asked for its sake."""
    rows, who = target.node.connections(), target.who
    if target.id != DEFAULT and any(scope_at(who, node.id).any for node in target.node.nodes()):
        return list(rows.values())
    return [row for ident, row in rows.items() if scope_at(who, ident).any]


def _kind(thing: Thing) -> Kind:
    return "resource" if thing == "template" else thing


def _listed(thing: Thing) -> tuple[Thing, ...]:
    """The lists that may tell of such a thing."""
    return ("resource", "template") if thing == "resource" else (thing,)

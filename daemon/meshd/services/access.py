"""The one authorization function: may this principal do that there?

Everything asks `decide`: the call table's dispatcher, lists, calls, tests, previews. Entries add
up and nothing denies. `*` as a target means every connection and never `self`.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from meshd.core.glob import glob_match
from meshd.protocol.uri_template import climbs
from meshd.services.grants import ANY, SELF, split_grant
from meshd.services.principal import EVERYTHING, Permissions, Principal
from meshd.wire.calls.row import Call
from meshd.wire.errors import BadRequest

Kind = Literal["tool", "resource", "prompt", "other"]
"""`other` is a method that no grant names: only `*` covers it."""

ROLES: dict[str, Permissions] = {
    "owner": EVERYTHING,
    "admin": EVERYTHING,
    "user": {ANY: (ANY,), SELF: ("status", "whoami", "org.list", "org.show")},
}
"""The built-in roles. Admins differ from owners in the calls that are for owners only."""

MAX_REMEMBERED = 1000
MAX_REMEMBERED_NAME = 200
"""Decisions that a scope keeps, and the longest name among them: names are the callers' own."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, the rule that gave it, and the grant that would change it."""

    allowed: bool
    rule: str
    grant: str | None = None
    below: bool = False
    """Whether that grant has to be one on the child, since a virtual MCP conveys no more."""
    unapproved: str | None = None
    """The tool that would have to be approved first."""

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True, slots=True)
class Way:
    """A virtual MCP on the way to a thing of its child, and the thing's name there.

    It conveys what each of `makers` may do: the scope that it was made with, and its maker's now.
    """

    target: str
    name: str
    makers: tuple[Principal, ...]
    paused: str | None = None
    """Why it conveys nothing at present."""


class Scope:
    """What one principal may do at one connection, worked out once and asked on every call."""

    __slots__ = ("_decided", "_patterns", "all", "any", "grants", "rule")

    def __init__(self, principal: Principal, target: str) -> None:
        grants = {
            grant: f"{where}/{grant}"
            for permissions in _sources(principal)
            for where in (ANY, target)
            for grant in permissions.get(where, ())
        }
        self.all = ANY in grants
        self.any = bool(grants)
        self.grants = frozenset(grants)
        self.rule = ", ".join(grants.values())
        self._patterns: dict[str, list[str]] = {}
        for kind, pattern in map(split_grant, grants):
            self._patterns.setdefault(kind, []).append(pattern)
        self._decided: dict[tuple[Kind, str], bool] = {}

    def covers(self, kind: Kind, name: str) -> bool:
        """Whether some grant names it."""
        if self.all:
            return True
        key = (kind, name)
        known = self._decided.get(key)
        if known is None:
            known = _covered(kind, name, self._patterns.get(kind, ()))
            if len(self._decided) < MAX_REMEMBERED and len(name) <= MAX_REMEMBERED_NAME:
                self._decided[key] = known
        return known


def _covered(kind: Kind, name: str, patterns: Sequence[str]) -> bool:
    if kind == "resource" and climbs(name):
        return ANY in patterns or name in patterns  # no other pattern keeps it where it seems to be
    return any(glob_match(pattern, name) for pattern in patterns)


def _sources(principal: Principal) -> tuple[Permissions, ...]:
    """A role is read live and adds to the key's own grants."""
    role = ROLES.get(principal.role) if principal.role else None
    return (principal.permissions,) if role is None else (principal.permissions, role)


def scope_at(principal: Principal, target: str) -> Scope:
    """The principal's scope at a connection's id."""
    scope = principal.scopes.get(target)
    if not isinstance(scope, Scope):
        scope = principal.scopes[target] = Scope(principal, target)
    return scope


def decide(
    principal: Principal,
    target: str,
    kind: Kind,
    name: str,
    *,
    reads_only: Callable[[], bool],
    approved: Callable[[], bool] = lambda: True,
    ways: Sequence[Way] = (),
) -> Decision:
    """Decide about one tool, resource or prompt of a connection.

    `reads_only` says whether the tool's present annotation is read-only; it is asked only when a
    read-only key's grants cover the tool. `approved` says whether a pinned connection's tool is
    as it was approved. `ways` are the virtual MCPs that it is reached through, the outermost
    first: a grant on any of them, or on the connection, suffices.
    """
    if ways:
        decision = _decide_through(principal, target, kind, name, reads_only, ways)
    else:
        decision = _decide_at(principal, target, kind, name, reads_only)
    if decision and kind == "tool" and not approved():
        rule = f"the connection is pinned and its tool {_shown(name)}, as it is now, not approved"
        return Decision(False, rule, unapproved=name)
    return decision


def _decide_at(
    principal: Principal, target: str, kind: Kind, name: str, reads_only: Callable[[], bool]
) -> Decision:
    """By the grants on the connection itself."""
    scope = scope_at(principal, target)
    if not scope.covers(kind, name):
        rule = f"no grant of {principal.name} covers {kind} {_shown(name)}"
        return Decision(False, rule, _grant_for(kind, name))
    if principal.read_only and (kind == "other" or (kind == "tool" and not reads_only())):
        rule = f"{principal.name} is read-only and {_shown(name)} is not annotated so"
        return Decision(False, rule)
    return Decision(True, scope.rule)


def _decide_through(
    principal: Principal,
    target: str,
    kind: Kind,
    name: str,
    reads_only: Callable[[], bool],
    ways: Sequence[Way],
) -> Decision:
    """By the grants behind the outermost virtual MCP, else by those on it and by its makers."""
    way, inner = ways[0], ways[1:]
    direct = decide(principal, target, kind, name, reads_only=reads_only, ways=inner)
    if direct:
        return direct
    at_way = decide(principal, way.target, kind, way.name, reads_only=reads_only)
    if not at_way:
        return at_way
    grant = _grant_for(kind, name)
    if way.paused is not None:
        return Decision(False, f"{_shown(way.name)} is paused: {way.paused}", grant, below=True)
    for maker in way.makers:
        if not decide(maker, target, kind, name, reads_only=reads_only, ways=inner):
            rule = f"{maker.name}, who made the virtual MCP, may not use {kind} {_shown(name)}"
            return Decision(False, rule, grant, below=True)
    return at_way


def permission_set(principal: Principal) -> Hashable:
    """Equal for principals about whom every decision is the same."""
    return principal.role, principal.read_only, tuple(sorted(principal.permissions.items()))


def _grant_for(kind: Kind, name: str) -> str:
    """The narrowest grant that covers it and can be typed."""
    if kind == "other":
        return ANY
    typed = "".join(c if c.isprintable() else ANY for c in name[:MAX_REMEMBERED_NAME])
    typed += ANY if len(name) > MAX_REMEMBERED_NAME else ""
    return typed if kind == "tool" else f"{kind}:{typed}"


def _shown(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name[:100])


def decide_call(principal: Principal, call: Call) -> Decision:
    """Decide about one control call: its name is its permission.

    `target` rows are decided where the connection is known; here they only need a principal.
    """
    if principal.kind == "local":
        return Decision(True, "the socket's owner")
    if call.right == "target":
        return Decision(True, "decided by the grants on the connection")
    if principal.read_only and call.method != "GET":
        return Decision(False, f"{principal.name} is read-only")
    if call.right == "instance" and not principal.instance_admin:
        return Decision(False, f"{call.name} is for instance admins")
    # A role is held in an org: what concerns the whole instance has to be said in the key itself.
    instance = call.right == "instance"
    if call.owner_only and principal.role == "owner":
        return Decision(True, "the role owner")
    for permissions in (principal.permissions,) if instance else _sources(principal):
        for grant in permissions.get(SELF, ()):
            if grant == call.name or (not is_exact(call) and glob_match(grant, call.name)):
                return Decision(True, f"self/{grant}")
    return Decision(False, f"no grant of {principal.name} covers {call.name}", call.name)


def decide_as_tool(principal: Principal, call: Call) -> Decision:
    """Decide about a control call that is asked for as a tool: what holds of tools holds as well.

    An answer with a secret is for a key that names the call; the owner at the socket is none.
    """
    if call.secret and principal.kind == "local":
        return Decision(False, f"{call.name} answers with a secret, so only a key may use its tool")
    if principal.read_only and call.method != "GET":
        return Decision(False, f"{principal.name} is read-only")
    return decide_call(principal, call)


def holds_self(principal: Principal) -> bool:
    """Whether it has any part in management."""
    return principal.kind == "local" or any(map(_has_self, _sources(principal)))


def _has_self(permissions: Permissions) -> bool:
    return bool(permissions.get(SELF))


def is_exact(call: Call) -> bool:
    """Whether only a grant that names the call gives it, and no pattern."""
    return call.secret or call.owner_only or call.exact


def check_role(role: str | None) -> str | None:
    """The role, if there is one of that name.

    Raises:
        BadRequest: there is none.
    """
    if role is not None and role not in ROLES:
        raise BadRequest(
            f'there is no role "{ascii(role[:40])[1:-1]}"', facts={"roles": " ".join(ROLES)}
        )
    return role

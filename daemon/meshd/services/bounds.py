"""Nothing made with a key can hold or do more than that key. Pure; who may call is in access."""

from collections.abc import Callable

from meshd.core.clock import iso
from meshd.core.glob import glob_match
from meshd.services.access import ROLES, is_exact
from meshd.services.grants import ANY, SELF, split_grant
from meshd.services.principal import Permissions, Principal
from meshd.wire.calls import CALLS
from meshd.wire.calls.event import PUBLISH_AS
from meshd.wire.errors import Denied

_EXACT = frozenset(call.name for call in CALLS if is_exact(call))
_OWNER_ONLY = frozenset(call.name for call in CALLS if call.owner_only)
_INSTANCE = frozenset(call.name for call in CALLS if call.right == "instance")
_OWNER = "owner"


def check_within(maker: Principal, made: Principal, name_of: Callable[[str], str] = str) -> None:
    """Refuse a key that exceeds its maker, be it made, changed, or given a new secret.

    What else is made with a key counts as the key that could do the same. `name_of` a target's id
    says how it is told.

    Grants are compared as they are written, not by what they match today: a pattern may come to
    mean more, so it is within another only if that is the same or `*`.

    Raises:
        Denied: it would exceed the maker.
    """
    if maker.kind == "local":
        return
    for target, grants in made.permissions.items():
        for grant in grants:
            if not _holds(maker, target, grant):
                raise Denied(
                    f"{maker.name} cannot give {name_of(target)}/{grant}: it does not hold it"
                )
    if made.role is not None and not _may_give(maker, made.role):
        raise Denied(f"{maker.name} cannot give the role {made.role}: it does not hold it")
    if made.instance_admin and not maker.instance_admin and SELF in made.permissions:
        raise Denied(f"{made.name} belongs to an instance admin")
    if made.connection not in {None, maker.connection} and not _holds(maker, SELF, PUBLISH_AS.name):
        raise Denied(
            f"{maker.name} cannot make a key for a connection",
            facts={"that needs": f"{SELF}/{PUBLISH_AS.name}"},
        )
    if maker.read_only and not made.read_only:
        raise Denied(f"{maker.name} is read-only, so what it makes must be")
    ends, given = maker.expires_at, made.expires_at
    if ends is not None and (given is None or given > ends):
        raise Denied(f"{maker.name} expires {iso(ends)}, so what it makes must too")


def _holds(maker: Principal, target: str, grant: str) -> bool:
    role = ROLES.get(maker.role or "", {})
    if target != SELF:
        return _covered(maker.permissions, target, grant) or _covered(role, target, grant)
    if _calls_covered(maker.permissions, grant):
        return True
    if grant in _OWNER_ONLY:
        return maker.role == _OWNER
    # In the key made this would be a grant of its own and carry instance rights; a role does not.
    return ANY not in grant and grant not in _INSTANCE and _calls_covered(role, grant)


def _may_give(maker: Principal, role: str) -> bool:
    """One's own role, or one that holds no more than oneself. An owner's only an owner gives."""
    if role == maker.role:
        return True
    mine = (maker.permissions, ROLES.get(maker.role or "", {}))
    return role != _OWNER and all(
        any(
            _calls_covered(held, grant) if target == SELF else _covered(held, target, grant)
            for held in mine
        )
        for target, grants in ROLES[role].items()
        for grant in grants
    )


def _covered(held: Permissions, target: str, grant: str) -> bool:
    """Whether a grant at a connection is within what is held there or at every connection."""
    kind, wanted = split_grant(grant)
    for have in (*held.get(target, ()), *held.get(ANY, ())):
        if have in {ANY, grant}:
            return True
        its_kind, pattern = split_grant(have)
        if its_kind == kind and _is_within(pattern, wanted):
            return True
    return False


def _calls_covered(held: Permissions, grant: str) -> bool:
    """Whether a grant under `self` is within what is held there."""
    if grant in _EXACT:
        return grant in held.get(SELF, ())
    return any(_is_within(have, grant) for have in held.get(SELF, ()))


def _is_within(held: str, wanted: str) -> bool:
    return held in {ANY, wanted} or (ANY not in wanted and glob_match(held, wanted))

"""Orgs: tenants of one daemon, with nothing in common but its owner."""

from msgspec import Struct


class Org(Struct, kw_only=True):
    """An org with what it holds. `keys` does not count those that have expired."""

    id: str
    name: str
    created_at: str
    connections: int
    keys: int


class OrgRef(Struct):
    """Names one org by name or id."""

    org: str


class OrgCreate(Struct):
    """The name of a new org."""

    name: str


class OrgRename(Struct):
    """Another name for an org."""

    org: str
    name: str

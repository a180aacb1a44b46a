"""Subscriptions as the snapshot holds them, and the principal that each runs as."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from meshd.bus.match import Matches, read_filters
from meshd.services.grants import to_json
from meshd.services.principal import Principal
from meshd.store.db import Row


@dataclass(frozen=True, slots=True)
class SubscriptionRow:
    """A subscription. `target` by `kind`: a tool's connection, name and arguments, or a URL."""

    id: str
    org: str
    name: str
    types: tuple[str, ...]
    publisher: str | None
    filter: str | None
    matches: Matches = field(compare=False, repr=False)
    kind: str
    target: Mapping[str, Any]
    url: bytes | None = field(repr=False)
    secret: bytes | None = field(repr=False)
    maker: Principal
    state: str
    reason: str | None
    created_at: int
    changed_at: int | None
    ordered_by: str | None
    old_secret: bytes | None = field(repr=False)
    old_until: int | None
    edition: int

    @property
    def active(self) -> bool:
        """Whether it hears and is delivered to."""
        return self.state == "active"


def from_stored(row: Row) -> SubscriptionRow:
    """The row of the table."""
    return SubscriptionRow(
        id=row["id"],
        org=row["org_id"],
        name=row["name"],
        types=tuple(json.loads(row["types"])),
        publisher=row["publisher"],
        filter=row["filter"],
        matches=read_filters(json.loads(row["filter"] or "[]")),
        kind=row["kind"],
        target=json.loads(row["target"]),
        url=row["url"],
        secret=row["secret"],
        maker=read_maker(row),
        state=row["state"],
        reason=row["reason"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
        ordered_by=row["ordered_by"],
        old_secret=row["old_secret"],
        old_until=row["old_until"],
        edition=row["edition"],
    )


def stored_maker(who: Principal) -> str:
    """The scope of a maker, to be kept with what it makes."""
    return json.dumps({
        "id": who.id, "name": who.name, "kind": who.kind, "role": who.role,
        "permissions": to_json(who.permissions), "read_only": who.read_only,
        "expires_at": who.expires_at, "instance_admin": who.instance_admin,
        "connection": who.connection,
    })  # fmt: skip


def read_maker(row: Row) -> Principal:
    """The principal that made what a row stands for, as it was then.

    From its columns `maker`, `owner_id` and `org_id`.
    """
    maker = json.loads(row["maker"])
    permissions = {k: tuple(v) for k, v in maker.pop("permissions").items()}
    return Principal(org=row["org_id"], owner=row["owner_id"], permissions=permissions, **maker)

"""Keys: issuing, changing, rotating, revoking, and finding the principal behind one."""

import json
from collections.abc import Mapping

from msgspec import UNSET, structs

from meshd.core.clock import Clock, instant, iso, iso_or_none
from meshd.services.access import ROLES, check_role
from meshd.services.directory import Directory, KeyRow, View
from meshd.services.events import Events
from meshd.services.grants import (
    ANY,
    glob_match,
    parse_grant,
    show_grants,
    to_json,
    with_grant,
    without_grant,
)
from meshd.services.lookup import find_connection, find_key
from meshd.services.principal import Permissions, Principal
from meshd.store.db import Database, ExpectFailed, Step, UniqueViolation
from meshd.vault import apikey
from meshd.wire.connection import Removed
from meshd.wire.errors import BadRequest, Conflict, Denied
from meshd.wire.ids import new_id
from meshd.wire.key import Key, KeyAdd, KeyAdded, KeyEdit
from meshd.wire.names import check_name

MAX_RECOGNISED = 4096
"""Keys whose digest is remembered while the snapshot stays the same: 0.1 µs instead of 4."""


class Keys:
    """The rules of keys."""

    def __init__(self, db: Database, directory: Directory, events: Events, clock: Clock) -> None:
        self._db = db
        self._directory = directory
        self._events = events
        self._clock = clock
        self._used: dict[str, int] = {}
        self._recognised: dict[str, Principal] = {}
        self._recognised_in: View | None = None

    def authenticate(self, text: str) -> Principal | None:
        """The principal of a whole key; None for garbage, unknown, revoked and expired alike."""
        view = self._directory.view
        if self._recognised_in is not view or len(self._recognised) > MAX_RECOGNISED:
            self._recognised, self._recognised_in = {}, view
        principal = self._recognised.get(text)
        if principal is None:
            if apikey.parse(text) is None:
                return None
            principal = view.by_digest.get(apikey.digest(text))
            if principal is None:
                return None
            self._recognised[text] = principal
        now = self._clock.now()
        if principal.expired(now):
            return None
        self._used[principal.id] = now
        return principal

    def acting_as(self, name: str, owner: Principal) -> Principal:
        """The key of that name or id, for the socket's owner to act as.

        Raises:
            NotFound: there is none.
            Denied: it has expired.
        """
        key = find_key(self._directory.view, owner.org, name).principal
        now = self._clock.now()
        if key.expired(now):
            raise Denied(
                f"key {key.name} has expired", next=f"meshctl key edit {key.name} --expires 90d"
            )
        self._used[key.id] = now
        return key

    async def write_last_used(self) -> None:
        """Write the coarse last use of every key used since the last time."""
        used, self._used = self._used, {}
        if used:
            await self._db.write_many("key.used", [{"id": k, "at": at} for k, at in used.items()])

    def all(self, who: Principal) -> list[Key]:
        """Keys of the org, newest first."""
        return [
            self._wire(k) for k in self._directory.view.keys.values() if k.principal.org == who.org
        ]

    def show(self, who: Principal, name: str) -> Key:
        """One key, by name or id."""
        return self._wire(find_key(self._directory.view, who.org, name))

    async def add(self, who: Principal, asked: KeyAdd) -> KeyAdded:
        """Issue a key. What it may do is never more than its maker may.

        Raises:
            BadRequest: a name, grant, role or expiry that is not valid.
            NotFound: a grant names an unknown connection.
            Denied: it would hold more than its maker.
            Conflict: the name is taken.
        """
        name = check_name(asked.name, "key")
        role = check_role(asked.role)
        permissions: dict[str, tuple[str, ...]] = {}
        if asked.allow is UNSET:
            permissions = {} if role else {ANY: (ANY,)}
        else:
            for text in asked.allow:
                permissions = with_grant(permissions, *self._grant(who, text))
        now = self._clock.now()
        expires = _expiry(asked.expires, now)
        _within(who, permissions, role, asked.read_only, expires)
        minted = apikey.mint("s")
        key_id = new_id("key")
        row = {
            "id": key_id, "org_id": who.org, "name": name, "prefix": f"mshs_{minted.public_id}",
            "digest": minted.digest, "last_four": minted.last_four,
            "permissions": json.dumps(to_json(permissions)), "role": role,
            "read_only": int(asked.read_only), "owner_id": who.owner, "now": now,
            "expires_at": expires,
        }  # fmt: skip
        about = {"name": name, "role": role, "expires_at": iso_or_none(expires)}
        try:
            await self._write(
                Step("key.add", row), self._events.step(who, "key.added", key_id, about)
            )
        except UniqueViolation:
            raise Conflict(
                f'a key "{name}" exists already', next=f"meshctl key rotate {name}"
            ) from None
        return self._with_secret(who, key_id, minted)

    async def edit(self, who: Principal, asked: KeyEdit) -> Key:
        """Change what a key may do. Raises as `add`, and Conflict if it changed meanwhile."""
        before = find_key(self._directory.view, who.org, asked.key)
        key = before.principal
        _may_touch(who, key)
        permissions: Permissions = key.permissions
        for text in asked.allow:
            permissions = with_grant(permissions, *self._grant(who, text))
        for text in asked.revoke:
            fewer = without_grant(permissions, *self._grant(who, text))
            if fewer is None:
                raise BadRequest(
                    f'key "{key.name}" has no grant "{text}"', next=f"meshctl key show {key.name}"
                )
            permissions = fewer
        name = key.name if asked.name is UNSET else check_name(asked.name, "key")
        role = key.role if asked.role is UNSET else check_role(asked.role)
        read_only = key.read_only if asked.read_only is UNSET else asked.read_only
        expires = key.expires_at
        if asked.expires is not UNSET:
            expires = _expiry(asked.expires, self._clock.now())
        _within(who, permissions, role, read_only, expires)
        row = {
            "id": key.id, "org_id": who.org, "name": name, "role": role, "expires_at": expires,
            "permissions": json.dumps(to_json(permissions)), "read_only": int(read_only),
            "permissions_before": before.permissions_json,
        }  # fmt: skip
        try:
            await self._write(
                Step("key.edit", row, expect=1),
                self._events.step(who, "key.edited", key.id, {"name": name, "role": role}),
            )
        except UniqueViolation:
            raise Conflict(f'a key "{name}" exists already') from None
        except ExpectFailed:
            raise Conflict(
                f'key "{key.name}" changed meanwhile', next=f"meshctl key show {key.name}"
            ) from None
        return self.show(who, key.id)

    async def rotate(self, who: Principal, name: str) -> KeyAdded:
        """A new secret; the one before stops at once. Raises NotFound, Denied."""
        key = find_key(self._directory.view, who.org, name).principal
        _may_touch(who, key)
        minted = apikey.mint("s")
        row = {
            "id": key.id, "org_id": who.org, "prefix": f"mshs_{minted.public_id}",
            "digest": minted.digest, "last_four": minted.last_four,
        }  # fmt: skip
        await self._write(
            Step("key.rotate", row, expect=1),
            self._events.step(who, "key.rotated", key.id, {"name": key.name}),
        )
        return self._with_secret(who, key.id, minted)

    async def revoke(self, who: Principal, name: str) -> Removed:
        """Gone at once. Raises NotFound, Denied."""
        key = find_key(self._directory.view, who.org, name).principal
        _may_touch(who, key)
        await self._write(
            Step("key.revoke", {"id": key.id, "org_id": who.org}, expect=1),
            self._events.step(who, "key.revoked", key.id, {"name": key.name}),
        )
        return Removed(id=key.id, name=key.name)

    async def _write(self, *steps: Step) -> None:
        await self._db.write(*steps, Step("revision.bump", {"topic": "keys"}))
        await self._directory.refresh()
        self._events.bell.ring()

    def _grant(self, who: Principal, text: str) -> tuple[str, str]:
        view = self._directory.view
        return parse_grant(text, lambda name: find_connection(view, who.org, name).id)

    def _with_secret(self, who: Principal, key_id: str, minted: apikey.Minted) -> KeyAdded:
        return KeyAdded(key=minted.secret.reveal(), **structs.asdict(self.show(who, key_id)))

    def _wire(self, row: KeyRow) -> Key:
        connections = self._directory.view.connections
        key = row.principal

        def name_of(target: str) -> str:
            return connections[target].name if target in connections else target

        return Key(
            id=key.id, name=key.name, prefix=row.prefix, last_four=row.last_four,
            permissions=dict(to_json(key.permissions)),
            grants=show_grants(key.permissions, name_of), role=key.role,
            read_only=key.read_only, owner=key.owner, created_at=iso(row.created_at),
            last_used_at=iso_or_none(self._used.get(key.id) or row.last_used_at),
            expires_at=iso_or_none(key.expires_at),
        )  # fmt: skip


def _expiry(text: str | None, now: int) -> int | None:
    if text is None:
        return None
    moment = instant(text, now, ahead=True)
    if moment <= now:
        raise BadRequest(f'"{ascii(text)[1:-1]}" lies in the past')
    return moment


def _may_touch(who: Principal, key: Principal) -> None:
    """Nobody changes a key whose rights exceed their own."""
    _within(who, key.permissions, key.role, key.read_only, key.expires_at)


def _within(
    maker: Principal,
    permissions: Permissions,
    role: str | None,
    read_only: bool,
    expires: int | None,
) -> None:
    """Nothing made with a key can hold or do more than that key.

    Raises:
        Denied: it would.
    """
    if maker.kind == "local":
        return
    wanted: list[Mapping[str, tuple[str, ...]]] = [permissions]
    if role is not None and role != maker.role:
        wanted.append(ROLES[role])
    for asked in wanted:
        for target, grants in asked.items():
            for grant in grants:
                if not _holds(maker, target, grant):
                    raise Denied(f"{maker.name} cannot give {target}/{grant}: it does not hold it")
    if maker.read_only and not read_only:
        raise Denied(f"{maker.name} is read-only, so what it makes must be")
    if maker.expires_at is not None and (expires is None or expires > maker.expires_at):
        raise Denied(f"{maker.name} expires {iso(maker.expires_at)}, so what it makes must too")


def _holds(maker: Principal, target: str, grant: str) -> bool:
    sources = [maker.permissions]
    if maker.role in ROLES:
        sources.append(ROLES[maker.role])
    places = (target,) if target == "self" else (target, ANY)
    return any(
        held in (ANY, grant) or (ANY not in grant and glob_match(held, grant))
        for source in sources
        for place in places
        for held in source.get(place, ())
    )

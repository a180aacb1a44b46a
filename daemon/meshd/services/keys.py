"""Keys: issuing, changing, rotating, revoking, and finding the principal behind one."""

import json
from collections.abc import Sequence
from dataclasses import replace

from msgspec import UNSET, structs

from meshd.core.clock import Clock, iso, iso_or_none
from meshd.services.access import check_role
from meshd.services.bounds import check_within
from meshd.services.directory import Directory, KeyRow
from meshd.services.events import Events
from meshd.services.grants import (
    ANY,
    check_new,
    parse_grant,
    show_grants,
    to_json,
    with_grant,
    without_grant,
)
from meshd.services.lifetimes import Lifetimes
from meshd.services.lookup import find_connection, find_key, find_target
from meshd.services.principal import Permissions, Principal
from meshd.store.db import ExpectFailed, Step, UniqueViolation
from meshd.store.scoped import ScopedDatabase
from meshd.vault import apikey
from meshd.wire.connection import Removed
from meshd.wire.errors import BadRequest, Conflict, Denied
from meshd.wire.ids import new_id
from meshd.wire.key import Key, KeyAdd, KeyAdded, KeyEdit
from meshd.wire.names import check_name

MAX_KEY = 200
"""Characters; a longer text is no key, and not worth a digest."""

MAX_GRANTS = 1000
"""Grants of one key, and entries of one request."""


class Keys:
    """The rules of keys."""

    def __init__(
        self,
        db: ScopedDatabase,
        directory: Directory,
        events: Events,
        clock: Clock,
        lifetimes: Lifetimes | None = None,
    ) -> None:
        self.lifetimes = lifetimes or Lifetimes()
        self._db = db
        self._directory = directory
        self._events = events
        self._clock = clock
        self._used: dict[str, int] = {}
        self._used_written: dict[str, int] = {}

    def authenticate(self, text: str) -> Principal | None:
        """The principal of a whole key; None for garbage, unknown, revoked and expired alike."""
        if len(text) > MAX_KEY:
            return None
        principal = self._directory.view.by_digest.get(apikey.digest(text))
        now = self._clock.now()
        if principal is None or principal.expired(now):
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
        used = {k: at for k, at in self._used.items() if self._used_written.get(k) != at}
        by_org: dict[str, list[dict[str, str | int]]] = {}
        for key, row in sorted(self._directory.latest.keys.items()):
            if key in used:
                by_org.setdefault(row.principal.org, []).append({"id": key, "at": used[key]})
        # In one order everywhere, so that no two daemons wait for each other.
        for org, rows in sorted(by_org.items()):
            await self._db.org(org).write_many("key.used", rows)
        self._used_written.update(used)

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
            NotFound: a grant names no connection or virtual MCP.
            Denied: it would hold more than its maker.
            Conflict: the name is taken.
        """
        name = check_name(asked.name, "key")
        now = self._clock.now()
        async with self._directory.changing():
            made = self._made(who, name, asked, now)
            check_within(who, made)
            minted = apikey.mint("s")
            row = {
                **_columns(made), **_secret_columns(minted), "owner_id": made.owner, "now": now,
                "connection_id": made.connection,
            }  # fmt: skip
            about = {"name": name, "role": made.role, "expires_at": iso_or_none(made.expires_at)}
            try:
                await self._write(
                    who.org,
                    Step("key.add", row),
                    self._events.step(who, "key.added", made.id, about),
                )
            except UniqueViolation:
                raise Conflict(
                    f'a key "{name}" exists already', next=f"meshctl key rotate {name}"
                ) from None
            return self._with_secret(who, made.id, minted)

    async def edit(self, who: Principal, asked: KeyEdit) -> Key:
        """Change what a key may do. Raises as `add`, and Conflict if it changed meanwhile."""
        async with self._directory.changing():
            before = find_key(self._directory.view, who.org, asked.key)
            key = before.principal
            check_within(who, key)  # nobody changes a key whose rights exceed their own
            after = self._edited(who, key, asked)
            check_within(who, after)
            row = {**_columns(after), "edition": before.edition}
            about = {"name": after.name, "role": after.role}
            try:
                await self._write(
                    who.org,
                    Step("key.edit", row, expect=1),
                    self._events.step(who, "key.edited", key.id, about),
                )
            except UniqueViolation:
                raise Conflict(f'a key "{after.name}" exists already') from None
            return self.show(who, key.id)

    async def rotate(self, who: Principal, name: str) -> KeyAdded:
        """A new secret; the one before stops at once. It lives no longer than a new key may.

        Raises NotFound, Denied, Conflict.
        """
        async with self._directory.changing():
            before = find_key(self._directory.view, who.org, name)
            key = before.principal
            check_within(who, key)
            minted = apikey.mint("s")
            row = {
                "id": key.id, "org_id": who.org, "edition": before.edition,
                "expires_at": self.lifetimes.shortened(key.expires_at, self._clock.now()),
                **_secret_columns(minted),
            }  # fmt: skip
            await self._write(
                who.org,
                Step("key.rotate", row, expect=1),
                self._events.step(who, "key.rotated", key.id, {"name": key.name}),
            )
            return self._with_secret(who, key.id, minted)

    async def revoke(self, who: Principal, name: str) -> Removed:
        """Gone at once. Raises NotFound, Denied, Conflict."""
        async with self._directory.changing():
            key = find_key(self._directory.view, who.org, name).principal
            check_within(who, key)
            await self._write(
                who.org,
                Step("key.revoke", {"id": key.id, "org_id": who.org}, expect=1),
                self._events.step(who, "key.revoked", key.id, {"name": key.name}),
            )
        self._used.pop(key.id, None)
        self._used_written.pop(key.id, None)
        return Removed(id=key.id, name=key.name)

    async def _write(self, org: str, *steps: Step) -> None:
        try:
            await self._db.org(org).write(*steps, Step("revision.bump", {"topic": "keys"}))
        except ExpectFailed:
            raise Conflict("the key changed meanwhile", next="meshctl key list") from None
        await self._directory.refresh()
        self._events.bell.ring()

    def _made(self, who: Principal, name: str, asked: KeyAdd, now: int) -> Principal:
        """The key that is asked for. Raises as `add`."""
        role = check_role(asked.role)
        speaks_for = None
        if asked.connection is not None:
            speaks_for = find_connection(self._directory.view, who.org, asked.connection).id
        permissions: Permissions = {}
        if asked.allow is not UNSET:
            permissions = self._with(who, permissions, asked.allow)
        elif role is None:
            permissions = {ANY: (ANY,)}
        return Principal(
            id=new_id("key"), name=name, kind="key", org=who.org, owner=who.owner,
            permissions=permissions, role=role, read_only=asked.read_only,
            expires_at=self.lifetimes.of_new(asked.expires, now, f"meshctl key add {name}"),
            instance_admin=who.instance_admin, connection=speaks_for,
        )  # fmt: skip

    def _edited(self, who: Principal, key: Principal, asked: KeyEdit) -> Principal:
        """The key as it is asked to be. Raises as `edit`."""
        permissions = self._with(who, key.permissions, asked.allow)
        if len(asked.revoke) > MAX_GRANTS:
            raise BadRequest(f"at most {MAX_GRANTS} grants can be revoked at once")
        for text in asked.revoke:
            fewer = without_grant(permissions, *self._grant(who, text))
            if fewer is None:
                raise BadRequest(
                    f'key "{key.name}" has no grant "{text}"', next=f"meshctl key show {key.name}"
                )
            permissions = fewer
        expires = key.expires_at
        if asked.expires is not UNSET:
            command = f"meshctl key edit {key.name}"
            expires = self.lifetimes.checked(asked.expires, self._clock.now(), command)
        return replace(
            key,
            name=key.name if asked.name is UNSET else check_name(asked.name, "key"),
            permissions=permissions,
            role=key.role if asked.role is UNSET else check_role(asked.role),
            read_only=key.read_only if asked.read_only is UNSET else asked.read_only,
            expires_at=expires,
        )

    def _with(self, who: Principal, permissions: Permissions, allow: Sequence[str]) -> Permissions:
        if len(allow) + sum(map(len, permissions.values())) > MAX_GRANTS:
            raise BadRequest(f"a key has at most {MAX_GRANTS} grants")
        for text in allow:
            permissions = with_grant(permissions, *check_new(*self._grant(who, text)))
        return permissions

    def _grant(self, who: Principal, text: str) -> tuple[str, str]:
        view = self._directory.view
        return parse_grant(text, lambda name: find_target(view, who.org, name).id)

    def _with_secret(self, who: Principal, key_id: str, minted: apikey.Minted) -> KeyAdded:
        return KeyAdded(key=minted.secret.reveal(), **structs.asdict(self.show(who, key_id)))

    def _wire(self, row: KeyRow) -> Key:
        view, key = self._directory.view, row.principal

        def name_of(target: str) -> str:
            known = view.connections.get(target) or view.virtuals.get(target)
            return known.name if known is not None else target

        return Key(
            id=key.id, name=key.name, prefix=row.prefix, last_four=row.last_four,
            permissions=dict(to_json(key.permissions)),
            grants=show_grants(key.permissions, name_of), role=key.role,
            read_only=key.read_only, owner=key.owner,
            connection=name_of(key.connection) if key.connection else None,
            created_at=iso(row.created_at),
            last_used_at=iso_or_none(self._used.get(key.id) or row.last_used_at),
            expires_at=iso_or_none(key.expires_at),
        )  # fmt: skip


def _columns(key: Principal) -> dict[str, str | int | None]:
    return {
        "id": key.id, "org_id": key.org, "name": key.name, "role": key.role,
        "permissions": json.dumps(to_json(key.permissions)), "read_only": int(key.read_only),
        "expires_at": key.expires_at,
    }  # fmt: skip


def _secret_columns(minted: apikey.Minted) -> dict[str, str | bytes]:
    return {
        "prefix": f"mshs_{minted.public_id}", "digest": minted.digest,
        "last_four": minted.last_four,
    }  # fmt: skip

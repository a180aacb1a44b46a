"""The in-memory snapshot that decides: orgs, connections and keys, without a query on the way.

A change made here refreshes it before the change is acknowledged; a change made elsewhere is seen
by the poll within a second. When the database cannot be read for `STALE` seconds, nothing is
decided any more.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from meshd.core.clock import Clock
from meshd.services.bell import Bell
from meshd.services.principal import Principal
from meshd.services.subscription_rows import SubscriptionRow, from_stored
from meshd.services.virtual_rows import VirtualRow
from meshd.services.virtual_rows import from_stored as virtuals_from_stored
from meshd.services.webhook_rows import WebhookRow
from meshd.services.webhook_rows import from_stored as webhook_from_stored
from meshd.store.db import Row, StoreError
from meshd.store.scoped import ScopedDatabase
from meshd.wire.errors import Unavailable

log = logging.getLogger(__name__)

FollowOrgs = Callable[[AbstractSet[str], AbstractSet[str]], Awaitable[None]]

POLL = 1.0
STALE = 30.0


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """A connection as configured. `sealed` holds (kind, name, blob); `revision` names this state.

    `edition` counts what was edited, names and switches included: who edits names the one it read.

    What was observed of it (`state`, `reason`, `seen_at`) is not part of its identity.
    """

    id: str
    org: str
    name: str
    transport: str
    url: str | None
    command: tuple[str, ...]
    cwd: str | None
    bodies: str
    enabled: bool
    created_at: int
    sealed: tuple[tuple[str, str, bytes], ...] = field(repr=False)
    revision: str
    state: str = field(compare=False)
    reason: str | None = field(compare=False)
    seen_at: int | None = field(compare=False)
    idle_s: int | None = None
    """Seconds without use after which its child is stopped; 0 is never, None the default."""
    edition: int = 0
    trust: str = "open"
    approved: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    """Of a pinned one: each tool that is approved, and for which fingerprint."""

    @property
    def pinned(self) -> bool:
        """Whether only what is approved is served."""
        return self.trust == "pinned"

    def approves(self, tool: str, fingerprint: str) -> bool:
        """Whether a definition of that fingerprint may be served."""
        return not self.pinned or self.approved.get(tool) == fingerprint

    def names(self, kind: str) -> list[str]:
        """Names of the sealed values of a kind."""
        return [name for k, name, _ in self.sealed if k == kind]


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as stored, and the principal that it makes."""

    principal: Principal
    prefix: str
    last_four: str
    edition: int
    created_at: int
    last_used_at: int | None


@dataclass(frozen=True, slots=True)
class View:
    """One consistent state of everything that decides. Never changed, only replaced."""

    orgs: Mapping[str, str]
    """Id to name, the oldest first."""
    org_made: Mapping[str, int]
    """Id to the moment when it was made."""
    connections: Mapping[str, ConnectionRow]
    by_name: Mapping[tuple[str, str], ConnectionRow]
    keys: Mapping[str, KeyRow]
    by_digest: Mapping[bytes, Principal]
    subscriptions: Mapping[str, SubscriptionRow]
    virtuals: Mapping[str, VirtualRow]
    virtual_by_name: Mapping[tuple[str, str], VirtualRow]
    """By org and name; a name here is never in `by_name` as well."""
    webhooks: Mapping[str, WebhookRow]


class Directory:
    """Holds the current `View` and keeps it fresh.

    `changing()` is held by whoever checks the snapshot and then writes. Another daemon may write
    all the same, so what is changed is guarded by its edition in the database as well. Ringing the
    `bell` hurries the next poll; `news` rings when there is another view.
    """

    def __init__(self, db: ScopedDatabase, clock: Clock) -> None:
        self.bell = Bell()
        self.news = Bell()
        self._db = db
        self._clock = clock
        self._changing = asyncio.Lock()
        self._lock = asyncio.Lock()
        self._view: View | None = None
        self._follow_orgs: FollowOrgs | None = None
        self._revision = -1
        self._checked = clock.monotonic()

    @property
    def view(self) -> View:
        """The snapshot.

        Raises:
            Unavailable: it could not be checked against the database for `STALE` seconds.
        """
        if self._view is None or self._clock.monotonic() - self._checked > STALE:
            raise Unavailable("the database cannot be read, so nothing can be decided")
        return self._view

    @property
    def latest(self) -> View:
        """The snapshot whatever its age, for what decides nothing.

        Raises:
            Unavailable: none was ever read.
        """
        if self._view is None:
            raise Unavailable("the database was not read yet")
        return self._view

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """For whoever checks the snapshot and then writes: alone here, and on a fresh one."""
        async with self._changing:
            await self.refresh()
            yield

    def on_orgs(self, follow: FollowOrgs) -> None:
        """Wait for `follow`, with the ids before and now, before a view of other orgs is shown."""
        self._follow_orgs = follow

    async def refresh(self) -> None:
        """Read everything again if anything changed.

        What is read is kept only if nothing changed meanwhile: a credential must never be seen
        beside the URL of another moment.
        """
        async with self._lock:
            now, revision = self._clock.monotonic(), await self._present_revision()
            while revision != self._revision or self._view is None:
                view = await self._load()
                before, now, revision = (
                    revision, self._clock.monotonic(), await self._present_revision(),
                )  # fmt: skip
                if before == revision:
                    await self._show_orgs(view)
                    self._view, self._revision = view, revision
                    self.news.ring()
            self._checked = now

    async def _show_orgs(self, view: View) -> None:
        before = self._view.orgs.keys() if self._view else set[str]()
        if self._follow_orgs is not None and before != view.orgs.keys():
            await self._follow_orgs(before, view.orgs.keys())

    def key_now(self, key: str) -> Principal | None:
        """The principal of a key's id; None once it is revoked or expired."""
        row = self.view.keys.get(key)
        if row is None or row.principal.expired(self._clock.now()):
            return None
        return row.principal

    async def keep_fresh(self) -> None:
        """Poll for changes made elsewhere, for ever."""
        while True:
            heard = self.bell.rung
            try:
                await self.refresh()
            except StoreError as error:
                log.warning("the snapshot could not be refreshed: %s", error)
            await self.bell.wait(POLL, heard)

    async def _present_revision(self) -> int:
        row = await self._db.one("revision.sum")
        return int(row["n"]) if row else 0

    async def _load(self) -> View:
        orgs = await self._db.all("org.all")
        users = await self._db.all("user.all")
        sealed: dict[str, list[tuple[str, str, bytes]]] = {}
        for row in await self._db.all("credential.all"):
            entry = (row["kind"], row["name"], stored_bytes(row["blob"]))
            sealed.setdefault(row["connection_id"], []).append(entry)
        approved = {
            row["connection_id"]: row["fingerprints"] for row in await self._db.all("approval.all")
        }
        before = self._view.connections if self._view else {}
        connections = {}
        for row in await self._db.all("connection.all"):
            made = _connection(row, tuple(sealed.get(row["id"], ())), approved.get(row["id"], "{}"))
            connections[made.id] = made
            kept = before.get(made.id)
            if kept == made and (kept.state, kept.reason) == (made.state, made.reason):
                connections[made.id] = kept
        admin = users[0]["id"] if users else ""
        rows = await self._db.all("key.all")
        keys = {row["id"]: _key(row, admin, partial(self.key_now, row["id"])) for row in rows}
        virtuals = virtuals_from_stored(
            await self._db.all("virtual.all"), await self._db.all("virtual.children")
        )
        return View(
            orgs={row["id"]: row["name"] for row in orgs},
            org_made={row["id"]: row["created_at"] for row in orgs},
            connections=connections,
            by_name={(c.org, c.name): c for c in connections.values()},
            keys=keys,
            by_digest={stored_bytes(row["digest"]): keys[row["id"]].principal for row in rows},
            subscriptions={
                row["id"]: from_stored(row) for row in await self._db.all("subscription.all")
            },
            virtuals=virtuals,
            virtual_by_name={(v.org, v.name): v for v in virtuals.values()},
            webhooks={
                row["id"]: webhook_from_stored(row) for row in await self._db.all("webhook.all")
            },
        )


def stored_bytes(value: object) -> bytes:
    """A sealed value as it was stored. What is no bytes any more, somebody else wrote.

    SQLite keeps any type in any column; empty bytes open nowhere, and say so where they are used.
    """
    return value if isinstance(value, bytes) else b""


def _connection(
    row: Row, sealed: tuple[tuple[str, str, bytes], ...], approved: str
) -> ConnectionRow:
    parts: list[Any] = [row["url"], row["command"], row["cwd"]]
    parts += [(kind, name, blob.hex()) for kind, name, blob in sealed]
    revision = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    return ConnectionRow(
        id=row["id"],
        org=row["org_id"],
        name=row["name"],
        transport=row["transport"],
        url=row["url"],
        command=tuple(json.loads(row["command"] or "[]")),
        cwd=row["cwd"],
        bodies=row["bodies"],
        enabled=bool(row["enabled"]),
        created_at=row["created_at"],
        sealed=sealed,
        revision=revision,
        state=row["state"],
        reason=row["reason"],
        seen_at=row["seen_at"],
        idle_s=row["idle_s"],
        edition=row["edition"],
        trust=row["trust"],
        approved=json.loads(approved),
    )


def _key(row: Row, admin: str, renew: Callable[[], Principal | None]) -> KeyRow:
    permissions = {k: tuple(v) for k, v in json.loads(row["permissions"]).items()}
    principal = Principal(
        id=row["id"],
        name=row["name"],
        kind="key",
        org=row["org_id"],
        owner=row["owner_id"],
        permissions=permissions,
        role=row["role"],
        read_only=bool(row["read_only"]),
        expires_at=row["expires_at"],
        instance_admin=row["owner_id"] == admin,
        connection=row["connection_id"],
        renew=renew,
    )
    return KeyRow(
        principal=principal,
        prefix=row["prefix"],
        last_four=row["last_four"],
        edition=row["edition"],
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
    )

"""Orgs: making, renaming and removing tenants. Which org a request is made in stands elsewhere."""

import logging
from collections import Counter
from dataclasses import replace

from meshd.core.clock import Clock, iso
from meshd.services.directory import Directory
from meshd.services.events import Events
from meshd.services.org_choice import find_org, visible
from meshd.services.principal import Principal
from meshd.services.records import Records
from meshd.services.tools import Tools
from meshd.services.upstreams import Upstreams
from meshd.store.db import ExpectFailed, Step, UniqueViolation
from meshd.store.scoped import ScopedDatabase
from meshd.vault.vault import Vault
from meshd.wire.connection import Removed
from meshd.wire.errors import Conflict
from meshd.wire.ids import new_id
from meshd.wire.names import check_name
from meshd.wire.org import Org, OrgCreate, OrgRename

log = logging.getLogger(__name__)


class Orgs:
    """The rules of orgs. The vault follows them through the directory."""

    def __init__(
        self,
        db: ScopedDatabase,
        directory: Directory,
        events: Events,
        records: Records,
        upstreams: Upstreams,
        tools: Tools,
        vault: Vault,
        clock: Clock,
    ) -> None:
        self._db = db
        self._directory = directory
        self._events = events
        self._records = records
        self._upstreams = upstreams
        self._tools = tools
        self._vault = vault
        self._clock = clock

    def all(self, who: Principal) -> list[Org]:
        """The orgs that the principal may know of, by name."""
        view, now = self._directory.view, self._clock.now()
        connections = Counter(row.org for row in view.connections.values())
        keys = Counter(
            row.principal.org for row in view.keys.values() if not row.principal.expired(now)
        )
        found = [
            Org(
                id=org, name=name, created_at=iso(view.org_made[org]),
                connections=connections[org], keys=keys[org],
            )
            for org, name in visible(view, who).items()
        ]  # fmt: skip
        return sorted(found, key=lambda org: org.name)

    def show(self, who: Principal, name: str) -> Org:
        """One org. Raises NotFound."""
        org = find_org(self._directory.view, who, name)
        return next(one for one in self.all(who) if one.id == org)

    async def create(self, who: Principal, asked: OrgCreate) -> Org:
        """An org with a data key of its own, and nothing else in it.

        Raises:
            BadRequest: the name is not valid.
            Conflict: it is taken.
        """
        name, org, now = check_name(asked.name, "org"), new_id("org"), self._clock.now()
        version, wrapped, _ = self._vault.new_org_key(org)
        made = {"org_id": org, "version": version, "wrapped": wrapped, "now": now}
        async with self._directory.changing():
            await self._write(
                org,
                name,
                Step("org.add", {"id": org, "name": name, "now": now}),
                Step("data_key.add", made),
                self._event(who, "created", org, name),
            )
        return Org(id=org, name=name, created_at=iso(now), connections=0, keys=0)

    async def rename(self, who: Principal, asked: OrgRename) -> Org:
        """Another name for an org, which keeps its id. Raises as `create`, and NotFound."""
        name = check_name(asked.name, "org")
        async with self._directory.changing():
            org = find_org(self._directory.view, who, asked.org)
            before = self._directory.view.orgs[org]
            if name != before:
                await self._write(
                    org,
                    name,
                    Step("org.rename", {"name": name}, expect=1),
                    self._event(who, "renamed", org, name, before=before),
                )
        return self.show(who, org)

    async def remove(self, who: Principal, name: str) -> Removed:
        """Remove an org with everything it owns, its data keys above all.

        Its keys are refused and its secrets are closed when the one unit is written; what runs
        for it is stopped then, and its call records leave in batches.

        Raises:
            NotFound: there is none of that name.
            Conflict: it is the last one.
        """
        async with self._directory.changing():
            view = self._directory.view
            org = find_org(view, who, name)
            name = view.orgs[org]
            try:
                await self._write(org, name, Step("org.remove", expect=1))
            except ExpectFailed:
                raise Conflict(
                    f'"{name}" is the last org', next="meshctl org create NAME"
                ) from None
            await self._db.wipe()  # the data keys above all
        log.warning('org "%s" (%s) was removed by %s (%s)', name, org, who.name, who.id)
        await self._tell_of_removal(who, org, name)
        for row in view.connections.values():
            if row.org == org:
                self._tools.forget(row)
                await self._upstreams.drop(row)
        await self._records.erase(org)
        return Removed(id=org, name=name)

    async def _tell_of_removal(self, who: Principal, org: str, name: str) -> None:
        """An event in the oldest org, the operator's: the removed one has none any more."""
        told = next(iter(self._directory.view.orgs))
        event = self._events.step(replace(who, org=told), "org.removed", org, {"name": name})
        await self._db.org(told).write(event)
        self._events.bell.ring()

    def _event(self, who: Principal, kind: str, org: str, name: str, **more: str) -> Step:
        return self._events.step(replace(who, org=org), f"org.{kind}", org, {"name": name, **more})

    async def _write(self, org: str, name: str, *steps: Step) -> None:
        try:
            # First, so that of two daemons that change orgs one waits, and then sees what is left.
            await self._db.org(org).write(Step("revision.bump", {"topic": "orgs"}), *steps)
        except UniqueViolation:
            raise Conflict(
                f'an org "{name}" exists already', next=f"meshctl org show {name}"
            ) from None
        await self._directory.refresh()
        self._events.bell.ring()

"""Connections: adding, changing, removing and testing upstreams."""

import json
import time
from collections.abc import Callable, Mapping

from msgspec import UNSET

from meshd.core.clock import Clock, iso, iso_or_none
from meshd.core.redact import redact_text
from meshd.proxy.outbound import OutboundRules
from meshd.services.access import scope_at
from meshd.services.approvals import Approvals
from meshd.services.connection_edits import Edit, http_edit, stdio_edit
from meshd.services.connection_rules import (
    check_command,
    check_env,
    check_headers,
    host_of,
    introduction,
)
from meshd.services.credentials import WHOLE, Credentials, shown_url
from meshd.services.directory import ConnectionRow, Directory
from meshd.services.events import Events
from meshd.services.grant_removal import without_grants_on
from meshd.services.health import Health
from meshd.services.lookup import check_no_virtual, find_connection
from meshd.services.principal import Principal
from meshd.services.refusals import no_grant
from meshd.services.tools import Tools
from meshd.services.upstreams import Upstreams, idle_seconds
from meshd.services.virtual_graph import check_unused
from meshd.store.db import ExpectFailed, Step, UniqueViolation
from meshd.store.scoped import ScopedDatabase
from meshd.wire.connection import (
    Connection,
    ConnectionAdd,
    ConnectionAddStdio,
    ConnectionEdit,
    ConnectionEdited,
    ConnectionEditStdio,
    ConnectionTested,
    Removed,
)
from meshd.wire.errors import Conflict, UpstreamFailed, UpstreamTimeout
from meshd.wire.ids import new_id
from meshd.wire.names import check_name


class Connections:
    """The rules of connections."""

    def __init__(
        self,
        db: ScopedDatabase,
        directory: Directory,
        events: Events,
        credentials: Credentials,
        upstreams: Upstreams,
        tools: Tools,
        approvals: Approvals,
        health: Health,
        outbound: OutboundRules,
        clock: Clock,
    ) -> None:
        self._db = db
        self._directory = directory
        self._events = events
        self._credentials = credentials
        self._upstreams = upstreams
        self._tools = tools
        self._approvals = approvals
        self._health = health
        self._outbound = outbound
        self._clock = clock

    def all(self, who: Principal) -> list[Connection]:
        """Connections of the org, by name."""
        rows = self._directory.view.connections.values()
        return [self.wire(row) for row in rows if row.org == who.org]

    def show(self, who: Principal, name: str) -> Connection:
        """One connection. Raises NotFound."""
        return self.wire(self._find(who, name))

    async def inspect(self, who: Principal, name: str) -> Connection:
        """One connection with the process that runs for it. Raises NotFound."""
        row = self._find(who, name)
        shown, child = self.wire(row), await self._upstreams.child(row)
        if child is not None:
            child.connection = row.name
            shown.child = child
        return shown

    async def add(self, who: Principal, asked: ConnectionAdd) -> Connection:
        """Connect over Streamable HTTP, and look at once what is there.

        The connection is kept also when the upstream cannot be reached; its state then says so.

        Raises:
            BadRequest: the name, the URL or a header is not valid.
            Conflict: the name is taken.
        """
        name = check_name(asked.name, "connection")
        self._outbound.check(host_of(asked.url))
        check_headers(asked.headers)
        shown, secret = shown_url(asked.url)
        row = {
            "transport": "http", "url": shown, "command": None, "cwd": None, "trust": asked.trust,
        }  # fmt: skip
        sealed = {("header", key): value for key, value in asked.headers.items()}
        if secret:
            sealed["url", WHOLE] = asked.url
        return await self._add(who, name, row, asked.bodies, sealed)

    async def add_stdio(self, who: Principal, asked: ConnectionAddStdio) -> Connection:
        """Connect a program that the daemon runs. Raises as `add`."""
        name = check_name(asked.name, "connection")
        check_command(asked.command, asked.cwd)
        check_env(asked.env)
        row = {
            "transport": "stdio", "url": None, "command": json.dumps(asked.command),
            "cwd": asked.cwd, "trust": asked.trust,
        }  # fmt: skip
        sealed = {("env", key): value for key, value in asked.env.items()}
        return await self._add(who, name, row, asked.bodies, sealed)

    async def edit(self, who: Principal, asked: ConnectionEdit) -> ConnectionEdited:
        """Change a connection but not its program. Raises as `add`, and NotFound."""
        if asked.url is not UNSET:
            self._outbound.check(host_of(asked.url))
        return await self._edit(who, asked.connection, lambda row: http_edit(row, asked))

    async def edit_stdio(self, who: Principal, asked: ConnectionEditStdio) -> ConnectionEdited:
        """Change a stdio connection. Another program drops the environment, and says so."""
        return await self._edit(who, asked.connection, lambda row: stdio_edit(row, asked))

    async def remove(self, who: Principal, name: str) -> Removed:
        """Remove it with its credentials, and every grant on it.

        Raises:
            NotFound: there is none of that name.
            Conflict: a virtual MCP is made of it.
        """
        async with self._directory.changing():
            row = self._find(who, name)
            check_unused(self._directory.view, row.id, row.name)
            await self._write(
                who.org,
                row.name,
                Step("connection.remove", {"org_id": row.org, "id": row.id}, expect=1),
                self._tools.forget(row),
                *without_grants_on(self._directory.view, row.org, row.id),
                self._events.step(who, "connection.removed", row.id, {"name": row.name}),
                Step("revision.bump", {"topic": "keys"}),
            )
        await self._upstreams.drop(row)
        return Removed(id=row.id, name=row.name)

    async def enable(self, who: Principal, name: str, *, enabled: bool) -> Connection:
        """Serve it, or stop serving it and what runs for it. Raises NotFound."""
        async with self._directory.changing():
            row = self._find(who, name)
            if row.enabled == enabled:
                return self.wire(row)
            kind = "connection.enabled" if enabled else "connection.disabled"
            asked = {
                "org_id": row.org, "id": row.id, "enabled": int(enabled), "edition": row.edition,
            }  # fmt: skip
            await self._write(
                who.org,
                row.name,
                Step("connection.enable", asked, expect=1),
                self._events.step(who, kind, row.id, {"name": row.name}),
            )
        await self._upstreams.drop(row)
        if enabled:
            await self._look(self._find(who, row.id))
        return self.show(who, row.id)

    async def test(self, who: Principal, name: str) -> ConnectionTested:
        """A fresh round trip.

        Raises:
            NotFound, Conflict: unknown, or disabled.
            Denied: the principal holds no grant there.
            UpstreamFailed, NeedsLogin, UpstreamTimeout: it failed; the state is noted.
        """
        row = self._find(who, name)
        if not scope_at(who, row.id).any:
            raise no_grant(who, row)
        began = time.perf_counter()
        try:
            await self._tools.refresh(row)
        finally:
            await self._health.flush()
        duration = (time.perf_counter() - began) * 1000
        server, protocol = introduction(await self._upstreams.initialize_result(row))
        return ConnectionTested(
            connection=self.show(who, row.id), duration_ms=duration, server=server,
            protocol=protocol,
        )  # fmt: skip

    def wire(self, row: ConnectionRow) -> Connection:
        """The connection as it may be shown."""
        seen = self._health.of(row)
        listed, served = self._tools.known(row), self._tools.approved(row)
        probe = self._upstreams.next_probe(row)
        return Connection(
            id=row.id, name=row.name, transport=row.transport,  # type: ignore[arg-type]
            url=row.url if row.url is not None else UNSET,
            command=[redact_text(word) for word in row.command] if row.command else UNSET,
            cwd=row.cwd if row.cwd is not None else UNSET,
            headers=row.names("header"), env=row.names("env"),
            bodies=row.bodies,  # type: ignore[arg-type]
            idle_s=idle_seconds(row) if row.transport == "stdio" else UNSET,
            state=seen.state, reason=seen.reason,
            next_probe_s=UNSET if probe is None else round(probe, 1),
            protocol=self._upstreams.protocol(row),
            trust=row.trust,  # type: ignore[arg-type]
            tools=len(served.tools) if served else None,
            withheld=(
                len(listed.tools) - len(served.tools) if row.pinned and listed and served else UNSET
            ),
            tokens=served.total_tokens if served else None,
            destructive=served.destructive if served else None,
            seen_at=iso_or_none(seen.at), created_at=iso(row.created_at),
        )  # fmt: skip

    def _find(self, who: Principal, name: str) -> ConnectionRow:
        return find_connection(self._directory.view, who.org, name)

    async def _add(
        self,
        who: Principal,
        name: str,
        row: Mapping[str, str | None],
        bodies: str,
        sealed: Mapping[tuple[str, str], str],
    ) -> Connection:
        made = new_id("conn")
        about = {"name": name, "transport": row["transport"]}
        added = {
            "id": made, "org_id": who.org, "name": name, "bodies": bodies,
            "now": self._clock.now(), **row,
        }  # fmt: skip
        async with self._directory.changing():
            check_no_virtual(self._directory.view, who.org, name)
            await self._write(
                who.org,
                name,
                Step("connection.add", added, expect=1),
                *await self._value_steps(who.org, made, sealed),
                self._events.step(who, "connection.added", made, about),
            )
        await self._look(self._find(who, made))
        if row["trust"] == "pinned":
            await self._approvals.approve_listed(who, made)
        return self.show(who, made)

    async def _edit(
        self, who: Principal, name: str, plan: Callable[[ConnectionRow], Edit]
    ) -> ConnectionEdited:
        async with self._directory.changing():
            row = self._find(who, name)
            edit = plan(row)
            after = edit.after
            check_no_virtual(self._directory.view, who.org, after.name)
            changed = {
                "id": row.id, "org_id": row.org, "name": after.name, "url": after.url,
                "command": json.dumps(after.command) if after.command else None,
                "cwd": after.cwd, "bodies": after.bodies, "idle_s": after.idle_s,
                "trust": after.trust, "edition": row.edition,
            }  # fmt: skip
            await self._write(
                who.org,
                after.name,
                Step("connection.edit", changed, expect=1),
                *await self._value_steps(row.org, row.id, edit.values),
                *((self._tools.forget(row),) if edit.retargets(row) else ()),
                *((self._approvals.drop(row),) if row.pinned and not after.pinned else ()),
                self._events.step(who, "connection.edited", row.id, {"name": after.name}),
            )
        await self._upstreams.drop(row, edited=True)
        edited = self._find(who, row.id)
        if edited.enabled:
            await self._look(edited)
        if edited.pinned and not row.pinned:
            await self._approvals.approve_listed(who, edited.id)
        return ConnectionEdited(connection=self.show(who, row.id), dropped=edit.dropped)

    async def _value_steps(
        self, org: str, connection: str, values: Mapping[tuple[str, str], str | None]
    ) -> list[Step]:
        return [
            self._credentials.drop(org, connection, kind, name)
            if value is None
            else await self._credentials.put(org, connection, kind, name, value)
            for (kind, name), value in values.items()
        ]

    async def _look(self, row: ConnectionRow) -> None:
        """List the tools; what went wrong is in the state afterwards."""
        try:
            await self._tools.refresh(row)
        except (UpstreamFailed, UpstreamTimeout) as error:
            self._health.failed(row, error)
        except Conflict:
            pass  # it was disabled meanwhile
        await self._health.flush()

    async def _write(self, org: str, name: str, *steps: Step) -> None:
        try:
            await self._db.org(org).write(
                # First, so that of two daemons one waits: virtual MCPs share the names.
                Step("revision.bump", {"topic": "connections"}),
                *steps,
            )
        except UniqueViolation:
            raise Conflict(
                f'a connection "{name}" exists already', next=f"meshctl connection show {name}"
            ) from None
        except ExpectFailed:
            raise Conflict(f'"{name}" changed meanwhile', next="meshctl connection list") from None
        await self._directory.refresh()
        self._events.bell.ring()

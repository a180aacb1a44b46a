"""Connections: adding, changing, removing and testing upstreams."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace

from msgspec import UNSET

from meshd.core.clock import Clock, iso, iso_or_none
from meshd.proxy.outbound import OutboundRules
from meshd.services.connection_rules import (
    check_command,
    check_env,
    check_headers,
    host_of,
    introduction,
    origin,
)
from meshd.services.credentials import WHOLE, Credentials, shown_url
from meshd.services.directory import ConnectionRow, Directory
from meshd.services.events import Events
from meshd.services.grants import to_json, without_target
from meshd.services.health import Health
from meshd.services.lookup import find_connection
from meshd.services.principal import Principal
from meshd.services.tools import Tools
from meshd.services.upstreams import Upstreams
from meshd.store.db import Database, ExpectFailed, Step, UniqueViolation
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
from meshd.wire.errors import BadRequest, Conflict, MeshError
from meshd.wire.ids import new_id
from meshd.wire.names import check_name


class Connections:
    """The rules of connections."""

    def __init__(
        self,
        db: Database,
        directory: Directory,
        events: Events,
        credentials: Credentials,
        upstreams: Upstreams,
        tools: Tools,
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

    async def add(self, who: Principal, asked: ConnectionAdd) -> Connection:
        """Connect over Streamable HTTP, and look at once what is there.

        The connection is kept also when the upstream cannot be reached; its state then says so.

        Raises:
            BadRequest: the name, the URL or a header is not valid.
            Conflict: the name is taken.
        """
        name = check_name(asked.name, "connection")
        shown = self._check_url(asked.url)
        check_headers(asked.headers)
        row = {"transport": "http", "url": shown[0], "command": None, "cwd": None}
        sealed = {("header", key): value for key, value in asked.headers.items()}
        if shown[1]:
            sealed["url", WHOLE] = asked.url
        return await self._add(who, name, row, asked.bodies, sealed)

    async def add_stdio(self, who: Principal, asked: ConnectionAddStdio) -> Connection:
        """Connect a program that the daemon runs. Raises as `add`."""
        name = check_name(asked.name, "connection")
        check_command(asked.command, asked.cwd)
        check_env(asked.env)
        row = {
            "transport": "stdio", "url": None, "command": json.dumps(asked.command),
            "cwd": asked.cwd,
        }  # fmt: skip
        sealed = {("env", key): value for key, value in asked.env.items()}
        return await self._add(who, name, row, asked.bodies, sealed)

    async def edit(self, who: Principal, asked: ConnectionEdit) -> ConnectionEdited:
        """Change a connection but not its program. Raises as `add`, and NotFound."""
        row = self._find(who, asked.connection)
        name = row.name if asked.name is UNSET else check_name(asked.name, "connection")
        bodies = row.bodies if asked.bodies is UNSET else asked.bodies
        if row.transport != "http" and (asked.url is not UNSET or asked.headers):
            raise BadRequest(f'"{row.name}" is a stdio connection: it has no URL and no headers')
        check_headers({k: v for k, v in asked.headers.items() if v is not None})
        after = replace(row, name=name, bodies=bodies)
        steps: list[Step] = []
        dropped: list[str] = []
        if asked.url is not UNSET:
            shown, secret = self._check_url(asked.url)
            if origin(shown) != origin(row.url or ""):
                # Stored credentials are bound to the origin they were given for.
                dropped = [k for k in row.names("header") if k not in asked.headers]
                steps += [self._credentials.drop(row.org, row.id, "header", k) for k in dropped]
            after = replace(after, url=shown)
            steps.append(
                self._credentials.put(row.org, row.id, "url", WHOLE, asked.url)
                if secret
                else self._credentials.drop(row.org, row.id, "url", WHOLE)
            )
        steps += self._value_steps(row, "header", asked.headers)
        return await self._edit(who, row, after, steps, dropped)

    async def edit_stdio(self, who: Principal, asked: ConnectionEditStdio) -> ConnectionEdited:
        """Change a stdio connection. Another program drops the environment, and says so."""
        row = self._find(who, asked.connection)
        if row.transport != "stdio":
            raise BadRequest(f'"{row.name}" is not a stdio connection')
        name = row.name if asked.name is UNSET else check_name(asked.name, "connection")
        bodies = row.bodies if asked.bodies is UNSET else asked.bodies
        command = row.command if asked.command is UNSET else tuple(asked.command)
        cwd = row.cwd if asked.cwd is UNSET else asked.cwd
        check_command(command, cwd)
        check_env({k: v for k, v in asked.env.items() if v is not None})
        steps: list[Step] = []
        dropped: list[str] = []
        if command[0] != row.command[0]:
            dropped = [k for k in row.names("env") if k not in asked.env]
            steps += [self._credentials.drop(row.org, row.id, "env", k) for k in dropped]
        steps += self._value_steps(row, "env", asked.env)
        after = replace(row, name=name, bodies=bodies, command=command, cwd=cwd)
        return await self._edit(who, row, after, steps, dropped)

    async def remove(self, who: Principal, name: str) -> Removed:
        """Remove it with its credentials, and every grant on it. Raises NotFound."""
        row = self._find(who, name)
        steps = [
            Step("connection.remove", {"org_id": row.org, "id": row.id}, expect=1),
            self._tools.forget(row),
            self._events.step(who, "connection.removed", row.id, {"name": row.name}),
        ]
        for key in self._directory.view.keys.values():
            if row.id in key.principal.permissions:
                left = without_target(key.principal.permissions, row.id)
                steps.append(
                    Step(
                        "key.edit",
                        {
                            "id": key.principal.id, "org_id": row.org,
                            "name": key.principal.name, "role": key.principal.role,
                            "expires_at": key.principal.expires_at,
                            "read_only": int(key.principal.read_only),
                            "permissions": json.dumps(to_json(left)),
                            "permissions_before": key.permissions_json,
                        },
                        expect=1,
                    )
                )  # fmt: skip
        await self._write(row, steps)
        await self._upstreams.drop(row)
        return Removed(id=row.id, name=row.name)

    async def enable(self, who: Principal, name: str, *, enabled: bool) -> Connection:
        """Serve it, or stop serving it and what runs for it. Raises NotFound."""
        row = self._find(who, name)
        if row.enabled != enabled:
            kind = "connection.enabled" if enabled else "connection.disabled"
            await self._write(
                row,
                [
                    Step(
                        "connection.enable",
                        {"org_id": row.org, "id": row.id, "enabled": int(enabled)},
                        expect=1,
                    ),
                    self._events.step(who, kind, row.id, {"name": row.name}),
                ],
            )
            await self._upstreams.drop(row)
            if enabled:
                await self._look(self._find(who, row.id))
        return self.show(who, row.id)

    async def test(self, who: Principal, name: str) -> ConnectionTested:
        """A fresh round trip.

        Raises:
            NotFound, Conflict: unknown, or disabled.
            UpstreamFailed, NeedsLogin, UpstreamTimeout: it failed; the state is noted.
        """
        row = self._find(who, name)
        began = time.perf_counter()
        await self._tools.refresh(row)
        duration = (time.perf_counter() - began) * 1000
        await self._health.flush()
        server, protocol = introduction(await self._upstreams.initialize_result(row))
        return ConnectionTested(
            connection=self.show(who, row.id), duration_ms=duration, server=server,
            protocol=protocol,
        )  # fmt: skip

    def wire(self, row: ConnectionRow) -> Connection:
        """The connection as it may be shown."""
        seen = self._health.of(row)
        listed = self._tools.known(row)
        return Connection(
            id=row.id, name=row.name, transport=row.transport,  # type: ignore[arg-type]
            url=row.url if row.url is not None else UNSET,
            command=list(row.command) if row.command else UNSET,
            cwd=row.cwd if row.cwd is not None else UNSET,
            headers=row.names("header"), env=row.names("env"),
            bodies=row.bodies,  # type: ignore[arg-type]
            state=seen.state, reason=seen.reason,
            tools=len(listed.tools) if listed else None,
            tokens=listed.total_tokens if listed else None,
            destructive=listed.destructive if listed else None,
            seen_at=iso_or_none(seen.at), created_at=iso(row.created_at),
        )  # fmt: skip

    def _find(self, who: Principal, name: str) -> ConnectionRow:
        return find_connection(self._directory.view, who.org, name)

    def _check_url(self, url: str) -> tuple[str, bool]:
        """The URL as shown, and whether it holds a secret."""
        self._outbound.check(host_of(url))
        return shown_url(url)

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
        steps = [
            Step(
                "connection.add",
                {"id": made, "org_id": who.org, "name": name, "bodies": bodies,
                 "now": self._clock.now(), **row},
            ),
            *(
                self._credentials.put(who.org, made, kind, key, value)
                for (kind, key), value in sealed.items()
            ),
            self._events.step(who, "connection.added", made, about),
        ]  # fmt: skip
        await self._write_named(name, steps)
        await self._look(self._directory.view.connections[made])
        return self.show(who, made)

    async def _edit(
        self,
        who: Principal,
        row: ConnectionRow,
        after: ConnectionRow,
        steps: list[Step],
        dropped: list[str],
    ) -> ConnectionEdited:
        changed = {
            "id": row.id, "org_id": row.org, "name": after.name, "url": after.url,
            "command": json.dumps(after.command) if after.command else None,
            "cwd": after.cwd, "bodies": after.bodies,
        }  # fmt: skip
        await self._write_named(
            after.name,
            [
                Step("connection.edit", changed, expect=1),
                *steps,
                self._events.step(who, "connection.edited", row.id, {"name": after.name}),
            ],
        )
        await self._upstreams.drop(row)
        edited = self._find(who, row.id)
        if edited.enabled:
            await self._look(edited)
        return ConnectionEdited(connection=self.show(who, row.id), dropped=dropped)

    def _value_steps(
        self, row: ConnectionRow, kind: str, values: Mapping[str, str | None]
    ) -> list[Step]:
        return [
            self._credentials.drop(row.org, row.id, kind, name)
            if value is None
            else self._credentials.put(row.org, row.id, kind, name, value)
            for name, value in values.items()
        ]

    async def _look(self, row: ConnectionRow) -> None:
        """List the tools; what went wrong is in the state afterwards."""
        try:
            await self._tools.refresh(row)
        except MeshError as error:
            self._health.failed(row, error)
        await self._health.flush()

    async def _write_named(self, name: str, steps: list[Step]) -> None:
        try:
            await self._db.write(*steps, Step("revision.bump", {"topic": "connections"}))
        except UniqueViolation:
            raise Conflict(
                f'a connection "{name}" exists already', next=f"meshctl connection show {name}"
            ) from None
        await self._directory.refresh()
        self._events.bell.ring()

    async def _write(self, row: ConnectionRow, steps: list[Step]) -> None:
        try:
            await self._write_named(row.name, steps)
        except ExpectFailed:
            raise Conflict(
                f'"{row.name}" changed meanwhile', next="meshctl connection list"
            ) from None

"""From a configured connection to a live upstream, whatever its transport."""

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

from msgspec import Raw

from meshd.core.tasks import TaskGroup
from meshd.protocol import header_values, translation
from meshd.protocol.envelope import bare
from meshd.protocol.jsonrpc import Reply
from meshd.protocol.members import members, text
from meshd.protocol.translation import result_type
from meshd.protocol.versions import LATEST_STATELESS
from meshd.proxy import process_table
from meshd.proxy.adapter import Adapter, Hear, unheard
from meshd.proxy.child import Command
from meshd.proxy.circuit import Circuit
from meshd.proxy.http import HttpUpstream
from meshd.proxy.http_eras import OURS, HttpEras
from meshd.proxy.http_pool import HttpPool
from meshd.proxy.http_stateless import ParamHeaders
from meshd.proxy.process_table import Process
from meshd.proxy.stdio import StdioUpstream
from meshd.proxy.stdio_pool import IDLE, StdioPool
from meshd.proxy.stdio_slot import Standing
from meshd.services.credentials import Credentials
from meshd.services.directory import ConnectionRow
from meshd.services.health import Health
from meshd.services.recovering import recovered
from meshd.services.virtual_rows import VIRTUAL
from meshd.vault.errors import VaultError
from meshd.wire.child import ChildProcess
from meshd.wire.errors import Conflict, MeshError, Unanswered, UpstreamFailed, UpstreamTimeout

log = logging.getLogger(__name__)

CALL_CEILING = 3600.0
TOOLS_CHANGED = "notifications/tools/list_changed"

T = TypeVar("T")
Composed = Callable[[ConnectionRow], Adapter]
"""The way to ask a virtual MCP."""
Observer = Callable[[ConnectionRow, str], None]
"""Told which notification of a change an upstream sent."""
Schemas = Callable[[ConnectionRow, str], bytes]
"""The input schema of a tool, as last listed; empty where it is not known."""
Present = Callable[[str], ConnectionRow | None]
"""A connection as it is configured now, by its id; None once it is removed."""


class Upstreams:
    """One HTTP side or one child per connection and revision; made when first asked for."""

    def __init__(
        self,
        http: HttpPool,
        pool: StdioPool,
        credentials: Credentials,
        health: Health,
    ) -> None:
        self._client = http
        self._pool = pool
        self._credentials = credentials
        self._health = health
        self._http: dict[str, tuple[str, HttpUpstream, HttpEras]] = {}
        self._heard: dict[str, StdioUpstream] = {}
        self._changes: dict[str, int] = {}
        self._count = itertools.count(1)
        self._warming: set[str] = set()
        self._told: dict[str, str] = {}
        self._schema: Schemas = lambda _row, _tool: b""
        self._present: Present | None = None
        self._composed: Composed | None = None
        self._observers: list[Observer] = []
        self._tasks = TaskGroup("upstreams")
        self._closing = TaskGroup("upstreams replaced")

    def tool_changes(self, row: ConnectionRow) -> int:
        """Another number each time that the upstream says that its tools changed."""
        return self._changes.get(row.id, 0)

    def note_change(self, row: ConnectionRow, method: str = TOOLS_CHANGED) -> None:
        """The upstream said that something changed; its tools, unless `method` says what else."""
        if row.transport == VIRTUAL:
            return  # its children said it, each for itself
        if method == TOOLS_CHANGED:
            self._changes[row.id] = next(self._count)
        for observer in self._observers:
            observer(row, method)

    def on_change(self, observer: Observer) -> None:
        """Tell `observer` whenever an upstream says that something changed."""
        self._observers.append(observer)

    def compose_by(self, composed: Composed) -> None:
        """How virtual MCPs are asked."""
        self._composed = composed

    def http(self, row: ConnectionRow) -> HttpUpstream:
        """The HTTP side of a connection.

        Raises:
            UpstreamFailed: its credentials cannot be opened.
            Conflict: it is disabled, or configured otherwise by now.
        """
        return self._side(row)[1]

    def know_schemas(self, schema: Schemas) -> None:
        """Where the schemas come from that say which arguments go into headers too."""
        self._schema = schema

    def know_connections(self, present: Present) -> None:
        """Where it is found whether a row is still as the connection is configured."""
        self._present = present

    def eras(self, row: ConnectionRow) -> HttpEras:
        """The HTTP side of a connection in whichever era. Raises as `http`."""
        return self._side(row)[2]

    def refuses_handshake(self, row: ConnectionRow) -> bool:
        """Whether its HTTP side was found to speak the stateless era alone."""
        known = self._http.get(row.id)
        return known is not None and known[0] == row.revision and known[2].refuses_handshake

    async def adapter(self, row: ConnectionRow) -> Adapter:
        """The way to ask on behalf of clients.

        Raises:
            UpstreamFailed: it cannot be started, or its credentials cannot be opened.
            Conflict: it is disabled, or configured otherwise by now.
        """
        if row.transport == VIRTUAL and self._composed is not None:
            return self._composed(row)
        return self.eras(row) if row.transport == "http" else (await self.stdio(row)).adapter

    def protocol(self, row: ConnectionRow) -> str | None:
        """The newest revision that the upstream was found to speak; None until it was asked."""
        return text(members(self.said(row)).get("protocolVersion"))

    def said(self, row: ConnectionRow) -> bytes:
        """What it last said of itself, as an `initialize` result; empty until it was asked."""
        if row.transport == "stdio":
            return self.welcome(row)
        known = self._http.get(row.id)
        return known[2].welcome if known and known[0] == row.revision else b""

    async def stdio(self, row: ConnectionRow) -> StdioUpstream:
        """The running child of a connection, started if need be.

        Raises:
            UpstreamFailed: it cannot be started, or not yet again.
            Conflict: it is disabled, or configured otherwise by now.
        """
        self._check(row)
        try:
            child = await self._pool.get(
                row.id, lambda: self._command(row), row.revision, idle=idle_seconds(row)
            )
        except MeshError as error:
            self._health.failed(row, error)
            raise
        self._health.reached(row)
        if self._heard.get(row.id) is not child:
            self._heard[row.id] = child
            child.listen(partial(self._hear, row), holds=False)
        return child

    def asleep(self, row: ConnectionRow) -> bool:
        """Whether its child would have to be started first, or is just starting."""
        if row.transport != "stdio":
            return False
        return self._pool.state(row.id, row.revision) in {"resting", "starting"}

    def warm(self, row: ConnectionRow, then: Callable[[], Awaitable[object]]) -> None:
        """Start the child of a connection without waiting, and do `then` once it runs.

        What fails is in the state of the connection, and comes again to who asks next.
        """
        if row.id not in self._warming:
            self._warming.add(row.id)
            self._tasks.start(f"warm {row.name}", self._warm(row, then))

    async def _warm(self, row: ConnectionRow, then: Callable[[], Awaitable[object]]) -> None:
        try:
            await self.stdio(row)
            await then()
        except MeshError as error:
            log.info("%s: %s", row.name, error.message)
        finally:
            self._warming.discard(row.id)

    def welcome(self, row: ConnectionRow) -> bytes:
        """What the child of a connection last answered to `initialize`; empty if it never did."""
        return self._pool.welcome(row.id, row.revision)

    def _command(self, row: ConnectionRow) -> Command:
        try:
            return self._credentials.command(row)
        except VaultError as error:
            raise self._sealed(row, error) from None

    def _hear(self, row: ConnectionRow, method: str, _message: bytes) -> None:
        self.note_change(row, method)

    async def recovered(
        self, row: ConnectionRow, send: Callable[[], Awaitable[T]], *, repeatable: bool
    ) -> T:
        """Send to a connection, also when it is just being restarted; see `recovering`."""

        async def returned(lost: UpstreamFailed) -> None:
            try:
                if row.transport == "http":  # a child is started anew by whoever asks for it
                    await self.http(row).returned(lost)
                if row.transport != VIRTUAL:
                    self._check(row)  # `send` may hold on to what was there before an edit
            except Conflict as error:
                raise UpstreamFailed(error.message, next=error.next) from None

        return await recovered(send, returned, repeatable=repeatable)

    def next_probe(self, row: ConnectionRow) -> float | None:
        """Seconds until an HTTP upstream is probed whose calls are held back; else None."""
        known = self._http.get(row.id)
        held = known is not None and known[0] == row.revision
        return known[1].circuit.next_probe if known is not None and held else None

    async def request(
        self,
        row: ConnectionRow,
        method: str,
        params: bytes = b"{}",
        *,
        repeatable: bool = True,
        within: float = CALL_CEILING,
        hear: Hear | None = None,
    ) -> Reply:
        """Ask on the daemon's own behalf, for at most `within` seconds; health is noted.

        What is `repeatable` is asked again when the upstream broke off.
        `hear` gets the notifications that come for this request before its answer.

        Raises:
            Conflict: the connection is disabled.
            UpstreamFailed, NeedsLogin, UpstreamTimeout: no answer.
            Unanswered: it asks something first, which only a client could answer.
        """
        if not row.enabled:
            raise disabled(row)
        try:
            async with asyncio.timeout(within):
                reply = await self.recovered(
                    row, partial(self._ask, row, method, params, hear), repeatable=repeatable
                )
        except TimeoutError:
            late = UpstreamTimeout(f'"{row.name}" did not answer {method} within {within:.0f} s')
            self._health.failed(row, late)
            raise late from None
        except MeshError as error:
            self._health.failed(row, error)
            raise
        self._health.reached(row)
        if reply.result is not None and result_type(reply.result) == "input_required":
            raise Unanswered(
                f'"{row.name}" asks for what only a client can answer',
                facts={"why": "it needs input in the middle of a call"},
            )
        return reply

    async def _ask(
        self, row: ConnectionRow, method: str, params: bytes, hear: Hear | None
    ) -> Reply:
        if row.transport == "http":
            return await self._side(row)[2].request(method, params, hear=hear)
        adapter = (await self.stdio(row)).adapter
        return (await adapter.ask(method, bare(params), OURS, hear or unheard)).reply

    async def initialize_result(self, row: ConnectionRow) -> bytes:
        """What the upstream said of itself. Raises as `request`."""
        if row.transport == VIRTUAL:
            return translation.welcome(await (await self.adapter(row)).discover(), LATEST_STATELESS)
        if row.transport == "stdio":
            return (await self.stdio(row)).initialize_result
        try:
            return await self.recovered(row, self._side(row)[2].open, repeatable=True)
        except MeshError as error:
            self._health.failed(row, error)
            raise

    async def drop(self, row: ConnectionRow, *, edited: bool = False) -> None:
        """Close what runs for a connection; for an edited one, only what ran before the edit."""
        known = self._http.pop(row.id, None)
        if known is not None:
            await known[2].close()
        self._heard.pop(row.id, None)
        self._changes.pop(row.id, None)
        self._told.pop(row.id, None)
        await self._pool.drop(row.id, row.revision if edited else None)
        self._health.forget(row.id)

    async def end(self, row: ConnectionRow) -> None:
        """Close what runs for a connection as it was; what took its place is left alone."""
        known = self._http.get(row.id)
        if known is not None and known[0] == row.revision:
            del self._http[row.id]
            await known[2].close()
        await self._pool.drop(row.id, row.revision)

    async def close(self) -> None:
        """Close everything at once: what one takes its time for is not added to the others'."""
        await self._tasks.stop()
        sides = [side.close() for _, _, side in self._http.values()]
        self._http.clear()
        await asyncio.gather(*sides, self._closing.stop(), self._pool.close())

    def count_children(self) -> Mapping[str, int]:
        """The stdio servers that were used since the daemon started, by state."""
        return Counter(child.state for child in self._pool.standing())

    async def children(self) -> list[ChildProcess]:
        """The stdio servers that were used since the daemon started; `connection` is its id."""
        standing = self._pool.standing()
        leaders = {child.pid for child in standing if child.pid}
        members = await asyncio.to_thread(_members, leaders) if leaders else {}
        return [_child(child, members.get(child.pid or 0, [])) for child in standing]

    async def child(self, row: ConnectionRow) -> ChildProcess | None:
        """The stdio server of one connection, if it was used."""
        return next((c for c in await self.children() if c.connection == row.id), None)

    def _marks(self, row: ConnectionRow) -> ParamHeaders:
        def headers(method: str, params: Mapping[str, Raw]) -> Mapping[str, str]:
            if method != "tools/call":
                return {}
            schema = self._schema(row, text(params.get("name")) or "")
            marks = header_values.marked(schema)
            return header_values.repeated(marks, params.get("arguments", b"{}")) if marks else {}

        return headers

    def _side(self, row: ConnectionRow) -> tuple[str, HttpUpstream, HttpEras]:
        self._check(row)
        known = self._http.get(row.id)
        if known is None or known[0] != row.revision:
            try:
                target = self._credentials.target(row)
            except VaultError as error:
                raise self._sealed(row, error) from None
            circuit = Circuit(on_return=partial(self._health.reached, row))
            upstream = HttpUpstream(self._client, target, circuit)
            if known is not None:
                self._closing.start(row.name, known[2].close())
            known = (row.revision, upstream, HttpEras(upstream, target.shown, self._marks(row)))
            self._http[row.id] = known
        return known

    def _check(self, row: ConnectionRow) -> None:
        """Refuse what would bring back a connection as it is no more.

        Raises:
            Conflict: it is disabled, removed, or configured otherwise by now.
        """
        now = row if self._present is None else self._present(row.id)
        if now is None or now.revision != row.revision:
            raise Conflict(f'"{row.name}" changed meanwhile', next="meshctl connection list")
        if not now.enabled:
            raise disabled(now)

    def _sealed(self, row: ConnectionRow, error: VaultError) -> UpstreamFailed:
        """What to answer instead; the log has it once for each state of the connection."""
        if self._told.get(row.id) != row.revision:
            self._told[row.id] = row.revision
            log.error("the credentials of %s (%s) cannot be opened: %s", row.name, row.id, error)
        return UpstreamFailed(
            f'the credentials of "{row.name}" cannot be opened',
            facts={"why": str(error)},
            next="meshctl vault verify",
        )


def idle_seconds(row: ConnectionRow) -> int:
    """Seconds without use after which its child is stopped; 0 is never."""
    return IDLE if row.idle_s is None else row.idle_s


def disabled(row: ConnectionRow) -> Conflict:
    """The error for using what an operator switched off."""
    return Conflict(
        f'connection "{row.name}" is disabled', next=f"meshctl connection enable {row.name}"
    )


def _members(leaders: set[int]) -> dict[int, list[Process]]:
    """The processes of each group, by the pid of its leader."""
    found: dict[int, list[Process]] = {}
    for process in process_table.everyone():
        if process.pgid in leaders:
            found.setdefault(process.pgid, []).append(process)
    return found


def _child(standing: Standing, members: list[Process]) -> ChildProcess:
    return ChildProcess(
        connection=standing.key, state=standing.state, pid=standing.pid, age_s=standing.age,
        pids=sorted(process.pid for process in members),
        rss_bytes=sum(process.rss for process in members) if members else None,
        in_flight=standing.in_flight, restarts=standing.restarts, last_exit=standing.last_exit,
    )  # fmt: skip

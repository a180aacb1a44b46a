"""Tools behind connections: their definitions, and calls on an operator's behalf."""

import asyncio
import time
from collections.abc import Callable
from functools import partial

import msgspec
from msgspec import Raw

from meshd.core.clock import MICROSECONDS, Clock
from meshd.protocol import jsonrpc
from meshd.services.access import Decision, decide, scope_at
from meshd.services.definitions import (
    Definition,
    Definitions,
    from_entries,
    from_stored,
    read_page,
)
from meshd.services.directory import ConnectionRow, Directory
from meshd.services.lookup import find_connection
from meshd.services.principal import Principal
from meshd.services.record_rows import Stopwatch
from meshd.services.records import Records
from meshd.services.refusals import denied, no_grant
from meshd.services.upstreams import Upstreams, disabled
from meshd.store.db import Step
from meshd.store.scoped import ScopedDatabase
from meshd.wire.errors import (
    BadRequest,
    Conflict,
    MeshError,
    NotFound,
    Unauthenticated,
    UpstreamFailed,
    UpstreamRefused,
)
from meshd.wire.tool import Tool, ToolCall, ToolList, ToolRef, ToolResult

MAX_PAGES = 200
MAX_LIST = 16 * 1024 * 1024
"""Bytes of a whole tool list."""
LIST_DEADLINE = 60.0
"""Seconds that a whole list may take."""
LISTS_DEADLINE = 10.0
"""Seconds that one connection may hold up the list of all."""
FRESH = 60 * MICROSECONDS
"""How old a list may be that decides on a read-only key's call."""


class Tools:
    """Lists, shows and calls; keeps the last list of each connection."""

    def __init__(
        self,
        db: ScopedDatabase,
        directory: Directory,
        upstreams: Upstreams,
        records: Records,
        clock: Clock,
    ) -> None:
        self._db = db
        self._directory = directory
        self._upstreams = upstreams
        self._records = records
        self._clock = clock
        self._known: dict[str, tuple[str, Definitions]] = {}
        upstreams.know_schemas(self.schema)

    async def load(self) -> None:
        """Read the stored lists; called once at start."""
        rows = self._directory.view.connections
        for stored in await self._db.all("definitions.all"):
            row = rows.get(stored["connection_id"])
            if row is not None:
                listed = from_stored(bytes(stored["tools"]), stored["listed_at"])
                self._known[row.id] = (row.revision, listed)

    async def read_stored(self, row: ConnectionRow) -> None:
        """Take over the list that another daemon stored, if there is one."""
        stored = await self._db.org(row.org).one(
            "definitions.get", connection_id=row.id, edition=row.edition
        )
        if stored is not None and self.known(row) is None:
            listed = from_stored(bytes(stored["tools"]), stored["listed_at"])
            self._known[row.id] = (row.revision, listed)

    def known(self, row: ConnectionRow) -> Definitions | None:
        """The last list of the connection as it is configured now."""
        entry = self._known.get(row.id)
        return entry[1] if entry is not None and entry[0] == row.revision else None

    def schema(self, row: ConnectionRow, tool: str) -> bytes:
        """A tool's input schema as last listed; empty where it is not known."""
        listed = self.known(row)
        found = listed.tools.get(tool) if listed is not None else None
        return bytes(found.input_schema) if found is not None else b""

    async def learn(self, row: ConnectionRow, entries: list[Raw]) -> Definitions:
        """Remember a list received whole; written only when it differs."""
        before = self.known(row)
        listed = from_entries(entries, self._clock.now())
        self._known[row.id] = (row.revision, listed)
        if before is None or before.raw != listed.raw:
            await self._db.org(row.org).write(
                Step(
                    "definitions.put",
                    {"org_id": row.org, "connection_id": row.id, "tools": listed.raw,
                     "now": listed.listed_at, "edition": row.edition},
                ),
                Step("revision.bump", {"topic": "definitions"}),
            )  # fmt: skip
        return listed

    def forget(self, row: ConnectionRow) -> Step:
        """Forget the list of a changed or removed connection; the step that stores that."""
        self._known.pop(row.id, None)
        return Step("definitions.drop", {"org_id": row.org, "connection_id": row.id})

    async def refresh(self, row: ConnectionRow, *, within: float = LIST_DEADLINE) -> Definitions:
        """Ask the upstream for its whole list, for at most `within` seconds.

        Raises:
            UpstreamFailed, NeedsLogin, UpstreamTimeout, Conflict: it could not be had.
        """
        entries: list[Raw] = []
        params, size = b"{}", 0
        end = time.monotonic() + within
        for _ in range(MAX_PAGES):
            left = end - time.monotonic()
            reply = await self._upstreams.request(row, "tools/list", params, within=left)
            if reply.result is None:
                if _code(reply.error) == jsonrpc.METHOD_NOT_FOUND:
                    break  # a server may have no tools
                raise UpstreamFailed(f"{row.name} refused to list its tools")
            size += len(reply.result)
            if size > MAX_LIST:
                raise UpstreamFailed(f"{row.name} lists more than {MAX_LIST >> 20} MiB of tools")
            try:
                page = read_page(reply.result)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise UpstreamFailed(f"{row.name} sent a tool list that is none") from None
            entries += page.tools
            if not page.next_cursor:
                break
            params = msgspec.json.encode({"cursor": page.next_cursor})
        return await self.learn(row, entries)

    async def reads_only(self, row: ConnectionRow, tool: str) -> bool:
        """Whether the tool is annotated as read-only at present."""
        listed = self.known(row)
        changed = self._upstreams.tools_changed(row)
        if listed is None or changed or self._clock.now() - listed.listed_at > FRESH:
            try:
                listed = await self.refresh(row)
            except MeshError:
                self._upstreams.note_change(row)  # what is known is not to be believed
                raise
        found = listed.tools.get(tool)
        return found is not None and found.read_only

    async def decide(self, who: Principal, row: ConnectionRow, tool: str) -> Decision:
        """Whether the tool may be called; a read-only key's question may need a fresh list.

        Raises:
            UpstreamFailed and the like: that list cannot be had.
        """
        reads_only = False
        if who.read_only and decide(who, row.id, "tool", tool, reads_only=lambda: True):
            reads_only = await self.reads_only(row, tool)
            who = self._still(who, row)
        return decide(who, row.id, "tool", tool, reads_only=lambda: reads_only)

    def _still(self, who: Principal, row: ConnectionRow) -> Principal:
        """The principal as it stands after a wait, at a connection that is still the same."""
        present = who.present()
        if present is None:
            raise Unauthenticated
        now = find_connection(self._directory.view, who.org, row.id)
        if not now.enabled:
            raise disabled(now)
        if now.revision != row.revision:
            raise Conflict(f'"{row.name}" changed meanwhile')
        return present

    async def all(self, who: Principal, asked: ToolList) -> list[Tool]:
        """What the principal may call: at one connection, or at all enabled ones.

        Of several connections those that cannot be reached show their last list.

        Raises:
            NotFound: there is no such connection.
            Denied: the principal holds no grant there.
            UpstreamFailed and the like: the one connection cannot be reached.
        """
        if asked.connection is not None:
            row = self._find(who, asked.connection)
            return self._allowed(who, row, await self.refresh(row))
        rows = [
            row
            for row in self._directory.view.connections.values()
            if row.org == who.org and row.enabled and scope_at(who, row.id).any
        ]
        lists = await asyncio.gather(*(self._refresh_or_known(row) for row in rows))
        return [
            tool
            for row, listed in zip(rows, lists, strict=True)
            for tool in (self._allowed(who, row, listed) if listed else ())
        ]

    async def show(self, who: Principal, asked: ToolRef) -> Tool:
        """One tool. Raises as `list`, and NotFound for an unknown or hidden tool."""
        row = self._find(who, asked.connection)
        listed = self.known(row) or await self.refresh(row)
        if asked.tool not in listed.tools:
            listed = await self.refresh(row)
        for tool in self._allowed(who, row, listed):
            if tool.name == asked.tool:
                return tool
        raise NotFound(
            f'connection "{row.name}" has no tool "{ascii(asked.tool[:60])[1:-1]}"',
            next=f"meshctl tool list {row.name}",
        )

    async def call(
        self,
        who: Principal,
        asked: ToolCall,
        *,
        client: str | None,
        traceparent: str | None = None,
        hear: Callable[[bytes], None] | None = None,
    ) -> ToolResult:
        """Call a tool and record the call; `hear` gets the notifications about it meanwhile.

        Raises:
            NotFound, Denied, Conflict: it may not be called.
            UpstreamRefused: the server answered with an error and no result.
            UpstreamFailed, UpstreamTimeout: there was no answer.
        """
        watch = Stopwatch(self._clock.now(), time.perf_counter())
        row = self._find(who, asked.connection)
        if not scope_at(who, row.id).any:
            raise no_grant(who, row)
        arguments = bytes(asked.arguments) or b"{}"
        if not arguments.startswith(b"{"):
            raise BadRequest("the arguments of a tool are a JSON object")
        decision = await self.decide(who, row, asked.tool)
        watch.received = watch.decided = time.perf_counter()
        if not decision:
            self._records.take(
                row, who, asked.tool, watch, arguments=arguments, response=None,
                error=f"denied: {decision.rule}", client=client, traceparent=traceparent,
            )  # fmt: skip
            raise denied(who, row, decision)
        wanted: dict[str, object] = {"name": asked.tool, "arguments": Raw(arguments)}
        if hear is not None:
            wanted["_meta"] = {"progressToken": 0}  # each transport puts its own in its place
        params = msgspec.json.encode(wanted)
        response: bytes | None = None
        error: str | None = None
        try:
            reply = await self._upstreams.request(row, "tools/call", params, hear=hear)
            if reply.result is not None:
                response = jsonrpc.success(b"0", reply.result)
            else:
                response = jsonrpc.failure(b"0", reply.error or b"null")
                raise UpstreamRefused(f"{row.name} refused the call: {_message(reply.error)}")
        except MeshError as failure:
            error = failure.message
            raise
        except asyncio.CancelledError:
            error = "cancelled by the client"
            raise
        finally:
            watch.upstream = watch.answered = time.perf_counter()
            call_id = self._records.take(
                row, who, asked.tool, watch,
                arguments=arguments, response=response, error=error, client=client,
                traceparent=traceparent,
            )  # fmt: skip
        return ToolResult(result=Raw(reply.result), call_id=call_id)

    def _find(self, who: Principal, name: str) -> ConnectionRow:
        # A key may have no grant on the name that comes nearest.
        view = self._directory.view
        return find_connection(view, who.org, name, suggest=who.kind == "local")

    async def _refresh_or_known(self, row: ConnectionRow) -> Definitions | None:
        listed = self.known(row)
        if listed is not None and self._upstreams.asleep(row):
            return listed  # a list is no reason to start them all
        try:
            return await self.refresh(row, within=LISTS_DEADLINE)
        except MeshError:
            return self.known(row)

    def _allowed(self, who: Principal, row: ConnectionRow, listed: Definitions) -> list[Tool]:
        if not scope_at(who, row.id).any:
            raise no_grant(who, row)
        return [
            to_wire(row, tool, listed.tokens[name])
            for name, tool in listed.tools.items()
            if decide(who, row.id, "tool", name, reads_only=partial(_reads_only, tool))
        ]


def _reads_only(tool: Definition) -> bool:
    return tool.read_only


def to_wire(row: ConnectionRow, tool: Definition, tokens: int) -> Tool:
    """The tool as an operator lists it."""
    return Tool(
        connection=row.name,
        name=tool.name,
        title=tool.title or (tool.annotations.title if tool.annotations else None),
        description=tool.description or "",
        read_only=tool.read_only,
        destructive=tool.destructive,
        tokens=tokens,
        schema=tool.input_schema,
    )


def _code(error: bytes | None) -> int | None:
    body = _decoded(error)
    code = body.get("code")
    return code if isinstance(code, int) else None


def _message(error: bytes | None) -> str:
    return str(_decoded(error).get("message", "no reason given"))[:300]


def _decoded(error: bytes | None) -> dict[str, object]:
    try:
        body = msgspec.json.decode(error or b"{}")
    except msgspec.DecodeError:
        return {}
    return body if isinstance(body, dict) else {}

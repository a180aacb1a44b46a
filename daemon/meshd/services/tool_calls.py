"""Tools as operators list, show and call them; every call is recorded."""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial

import msgspec
from msgspec import Raw

from meshd.core.clock import Clock
from meshd.protocol import jsonrpc
from meshd.services.access import decide, decide_call, scope_at
from meshd.services.definitions import (
    Definition,
    Definitions,
)
from meshd.services.directory import ConnectionRow, Directory
from meshd.services.lookup import find_connection
from meshd.services.principal import Principal
from meshd.services.record_rows import Stopwatch
from meshd.services.records import Records
from meshd.services.recovering import TOOL
from meshd.services.refusals import denied, no_grant
from meshd.services.tools import Tools, decoded_error
from meshd.services.upstreams import Upstreams, disabled
from meshd.wire.calls.tool import DIFF
from meshd.wire.errors import (
    BadRequest,
    MeshError,
    NotFound,
    UpstreamRefused,
)
from meshd.wire.tool import Tool, ToolCall, ToolList, ToolRef, ToolResult

LISTS_DEADLINE = 10.0
"""Seconds that one connection may hold up the list of all."""
MAX_DATA = 1000
"""Characters of the data of a server's error that are told."""


class ToolCalls:
    """Lists, shows and calls on somebody's behalf."""

    def __init__(
        self,
        directory: Directory,
        upstreams: Upstreams,
        tools: Tools,
        records: Records,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._upstreams = upstreams
        self._tools = tools
        self._records = records
        self._clock = clock

    async def all(self, who: Principal, asked: ToolList) -> list[Tool]:
        """What the principal may call: at one connection, or at all enabled ones.

        Of several connections those that cannot be reached show their last list.

        Raises:
            NotFound: there is no such connection.
            Denied: the principal holds no grant there.
            UpstreamFailed and the like: the one connection cannot be reached.
        """
        if asked.connection is not None:
            row = self._granted(who, asked.connection)
            return self._allowed(who, row, await self._tools.refresh(row))
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
        row = self._granted(who, asked.connection)
        if not row.enabled:
            raise disabled(row)
        listed = self._tools.known(row) or await self._tools.refresh(row)
        if asked.tool not in listed.tools:
            listed = await self._tools.refresh(row)
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
        row = self._granted(who, asked.connection)
        arguments = bytes(asked.arguments) or b"{}"
        if not arguments.startswith(b"{"):
            raise BadRequest("the arguments of a tool are a JSON object")
        decision = await self._tools.decide(who, row, asked.tool)
        watch.received = watch.decided = time.perf_counter()
        if not decision:
            self._records.take(
                row, who, asked.tool, watch, arguments=arguments, response=None,
                error=f"denied: {decision.rule}", client=client, traceparent=traceparent,
            )  # fmt: skip
            raise denied(who, row, decision)
        return await self.make(
            who, row, asked.tool, arguments, watch,
            client=client, traceparent=traceparent, hear=hear,
        )  # fmt: skip

    async def make(
        self,
        who: Principal,
        row: ConnectionRow,
        tool: str,
        arguments: bytes,
        watch: Stopwatch,
        *,
        client: str | None,
        traceparent: str | None = None,
        hear: Callable[[bytes], None] | None = None,
    ) -> ToolResult:
        """Make a call that was decided about, and record it. Raises as `call` does after that."""
        wanted: dict[str, object] = {"name": tool, "arguments": Raw(arguments)}
        if hear is not None:
            wanted["_meta"] = {"progressToken": 0}  # each transport puts its own in its place
        params = msgspec.json.encode(wanted)
        response: bytes | None = None
        error: str | None = None
        try:
            reply = await self._upstreams.request(
                row, TOOL, params, repeatable=self._tools.may_repeat(row, TOOL, tool), hear=hear
            )
            if reply.result is not None:
                response = jsonrpc.success(b"0", reply.result)
            else:
                response = jsonrpc.failure(b"0", reply.error or b"null")
                raise _refusal(row, reply.error)
        except MeshError as failure:
            error = failure.message
            raise
        except asyncio.CancelledError:
            error = "cancelled by the client"
            raise
        finally:
            watch.upstream = watch.answered = time.perf_counter()
            call_id = self._records.take(
                row, who, tool, watch,
                arguments=arguments, response=response, error=error, client=client,
                traceparent=traceparent,
            )  # fmt: skip
        return ToolResult(result=Raw(reply.result), call_id=call_id)

    def _granted(self, who: Principal, name: str) -> ConnectionRow:
        """A connection that the principal holds some grant on."""
        # A key may have no grant on the name that comes nearest.
        view = self._directory.view
        row = find_connection(view, who.org, name, suggest=who.kind == "local")
        if not scope_at(who, row.id).any:
            raise no_grant(who, row)
        return row

    async def _refresh_or_known(self, row: ConnectionRow) -> Definitions | None:
        listed = self._tools.known(row)
        if listed is not None and self._upstreams.asleep(row):
            return listed  # a list is no reason to start them all
        try:
            return await self._tools.refresh(row, within=LISTS_DEADLINE)
        except MeshError:
            return self._tools.known(row)

    def _allowed(self, who: Principal, row: ConnectionRow, listed: Definitions) -> list[Tool]:
        """What one may call; whoever may look at changes sees also what is withheld, marked."""
        served = (self._tools.approved(row) or listed).tools if row.pinned else listed.tools
        sees_withheld = row.pinned and bool(decide_call(who, DIFF))
        found = []
        for name, tool in listed.tools.items():
            decision = decide(
                who, row.id, "tool", name,
                reads_only=partial(_reads_only, tool), approved=partial(_is_in, name, served),
            )  # fmt: skip
            if decision or (sees_withheld and decision.unapproved is not None):
                shown = to_wire(row, tool, listed.tokens[name])
                if not decision:
                    shown.withheld = "changed" if name in row.approved else "new"
                found.append(shown)
        return found


def _reads_only(tool: Definition) -> bool:
    return tool.read_only


def _is_in(name: str, served: Mapping[str, Definition]) -> bool:
    return name in served


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


def _refusal(row: ConnectionRow, error: bytes | None) -> UpstreamRefused:
    """In the server's own words, with the code and the data of its error."""
    said = decoded_error(error)
    facts = {"jsonrpc code": str(said.get("code", "none"))[:20]}
    if "data" in said:
        facts["data"] = msgspec.json.encode(said["data"]).decode()[:MAX_DATA]
    reason = str(said.get("message", "no reason given"))[:300]
    return UpstreamRefused(f"{row.name} refused the call: {reason}", facts=facts)

"""Tools of virtual MCPs as operators and plain HTTP use them: by the names that are exposed.

A mode is for clients that put whole lists into a prompt; here every tool is called by its name.
"""

import time
from collections.abc import Callable

from meshd.core.clock import Clock
from meshd.protocol.jsonrpc import BadMessage
from meshd.services.composing import Exposed
from meshd.services.definitions import tokens_of
from meshd.services.principal import Principal
from meshd.services.record_rows import Stopwatch
from meshd.services.records import Records
from meshd.services.refusals import denied
from meshd.services.tool_calls import ToolCalls, to_wire
from meshd.services.virtual_serving import VirtualServing, VirtualTarget
from meshd.wire.errors import BadRequest, NotFound
from meshd.wire.tool import Tool, ToolCall, ToolRef, ToolResult


class VirtualTools:
    """Lists, shows and calls."""

    def __init__(
        self, virtuals: VirtualServing, calls: ToolCalls, records: Records, clock: Clock
    ) -> None:
        self._virtuals = virtuals
        self._calls = calls
        self._records = records
        self._clock = clock

    def has(self, who: Principal, name: str) -> bool:
        """Whether a name or id is that of a virtual MCP of the principal's org."""
        return self._virtuals.named(who, name) is not None

    async def all(self, who: Principal, name: str) -> list[Tool]:
        """What the principal may call there.

        Raises:
            NotFound, Denied, Unavailable: there is none, or not for this principal, or not now.
        """
        target = self._virtuals.find(who, name)
        allowed, _ = await self._virtuals.allowed(target, "tool")
        return [_to_wire(target, one) for one in allowed.exposed]

    async def show(self, who: Principal, asked: ToolRef) -> Tool:
        """One of them. Raises as `all`, and NotFound for an unknown or hidden tool."""
        for tool in await self.all(who, asked.connection):
            if tool.name == asked.tool:
                return tool
        raise _unknown(self._virtuals.find(who, asked.connection), asked.tool)

    async def check(self, who: Principal, asked: ToolRef) -> None:
        """Pass whoever may call it now. Raises as `call`."""
        target = self._virtuals.find(who, asked.connection)
        reached = await self._virtuals.reach(target, "tool", asked.tool)
        if reached is None:
            raise _unknown(target, asked.tool)
        if not reached.decision:
            raise denied(who, reached.fix_at, reached.decision)

    async def call(
        self,
        who: Principal,
        asked: ToolCall,
        *,
        client: str | None,
        traceparent: str | None = None,
        hear: Callable[[bytes], None] | None = None,
    ) -> ToolResult:
        """Call one and record the call at the connection that it leads to.

        Raises:
            NotFound, Denied, BadRequest and the like: it may not be called, or not like that.
            UpstreamRefused, UpstreamFailed, UpstreamTimeout: there was no result.
        """
        watch = Stopwatch(self._clock.now(), time.perf_counter())
        target = self._virtuals.find(who, asked.connection)
        arguments = bytes(asked.arguments) or b"{}"
        if not arguments.startswith(b"{"):
            raise BadRequest("the arguments of a tool are a JSON object")
        reached = await self._virtuals.reach(target, "tool", asked.tool)
        if reached is None:
            raise _unknown(target, asked.tool)
        route, row, decision = reached.exposed.route, reached.row, reached.decision
        watch.received = watch.decided = time.perf_counter()
        if not decision:
            self._records.take(
                row, who, route.name, watch, arguments=arguments, response=None,
                error=f"denied: {decision.rule}", client=client, traceparent=traceparent,
            )  # fmt: skip
            raise denied(who, reached.fix_at, decision)
        try:
            inside = route.arguments(arguments)
        except BadMessage as error:
            raise BadRequest(str(error)) from None
        return await self._calls.make(
            who, row, route.name, inside, watch,
            client=client, traceparent=traceparent, hear=hear,
        )  # fmt: skip


def _to_wire(target: VirtualTarget, one: Exposed) -> Tool:
    return to_wire(target, one.definition, tokens_of(one.raw))


def _unknown(target: VirtualTarget, tool: str) -> NotFound:
    return NotFound(
        f'virtual MCP "{target.name}" has no tool "{ascii(tool[:60])[1:-1]}"',
        next=f"meshctl tool list {target.name}",
    )

"""The control calls as MCP tools: which there are, who sees them, and what a call answers with.

They stand behind the name `self`, at its MCP endpoint and wherever tools are listed and called.
Making a call is the dispatcher's: here it is only put into the words of MCP.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import msgspec
from msgspec import Raw, Struct

from meshd.core.clock import Clock
from meshd.services import compat
from meshd.services.access import Decision, decide_as_tool, holds_self
from meshd.services.definitions import Definition, from_entries
from meshd.services.directory import ConnectionRow
from meshd.services.failures import failure
from meshd.services.grants import SELF
from meshd.services.principal import Principal
from meshd.services.record_rows import Stopwatch
from meshd.services.records import Records
from meshd.services.refusals import denied_call
from meshd.services.tool_calls import to_wire
from meshd.wire import schema
from meshd.wire.calls.row import Call
from meshd.wire.calls.tool import CALL as TOOL_CALL
from meshd.wire.errors import BadRequest, Denied, MeshError, NotFound, Unauthenticated
from meshd.wire.tool import Tool, ToolCall, ToolRef, ToolResult
from meshd.wire.version import VERSION

Perform = Callable[[Principal, str, bytes], Awaitable[Any]]
"""Makes the call of a name with arguments, a JSON object, and gives its answer."""


@dataclass(frozen=True, slots=True)
class ManagementTool:
    """A call and the tool that stands for it; `entry` is the tool as it is listed, in JSON.

    With an `adapter` its arguments and its answer are not the call's own.
    """

    call: Call
    entry: bytes
    read: Definition
    tokens: int
    adapter: compat.Adapter | None = None


class _Named(Struct):
    connection: str = ""


class Management:
    """The tools of `self`."""

    def __init__(
        self, calls: Sequence[Call], perform: Perform, records: Records, clock: Clock
    ) -> None:
        self._perform = perform
        self._records = records
        self._clock = clock
        self._calls = calls

    @cached_property
    def _tools(self) -> dict[str, ManagementTool]:
        """By name; made when first wanted, since schemas take their time."""
        made = (*map(_tool, self._calls), *map(_adapted, compat.ADAPTERS))
        return {tool.read.name: tool for tool in made if tool is not None}

    def entries(self, who: Principal) -> list[bytes]:
        """What `tools/list` shows a principal: what it may call, and nothing else."""
        return [tool.entry for tool in self._allowed(who)]

    def all(self, who: Principal) -> list[Tool]:
        """The same as an operator lists tools.

        Raises:
            Denied: the principal has no part in management.
        """
        check_holds_self(who)
        row = self_row(who.org)
        return [to_wire(row, tool.read, tool.tokens) for tool in self._allowed(who)]

    def show(self, who: Principal, asked: ToolRef) -> Tool:
        """One of them.

        Raises:
            NotFound: there is no such tool.
            Denied: the principal may not call it.
        """
        check_holds_self(who)
        tool = self._find(asked.tool)
        decision = decide_as_tool(who, tool.call)
        if not decision:
            raise _refusal(who, tool.call, decision)
        return to_wire(self_row(who.org), tool.read, tool.tokens)

    async def call_for(self, who: Principal, asked: ToolCall, *, client: str | None) -> ToolResult:
        """Call one as an operator calls any tool. Raises as `call`, and Denied as `all`."""
        check_holds_self(who)
        watch = Stopwatch(self._clock.now(), time.perf_counter())
        arguments = bytes(asked.arguments) or b"{}"
        return await self.call(who, asked.tool, arguments, watch=watch, client=client)

    async def call(
        self, who: Principal, name: str, arguments: bytes, *, watch: Stopwatch, client: str | None
    ) -> ToolResult:
        """Call a tool and record the call. What fails behind the decision is a result as well.

        Raises:
            NotFound: there is no such tool.
            Denied: the principal may not call it.
            Unauthenticated: its key was revoked meanwhile.
        """
        tool = self._find(name)
        decision = decide_as_tool(who, tool.call)
        watch.decided = time.perf_counter()
        error: MeshError | None = None
        try:
            result = await self._result(who, tool, decision, arguments)
        except Unauthenticated:
            raise
        except Exception as problem:  # noqa: BLE001 - whatever it is, it has an answer
            error = failure(problem, f"the tool {name}")
            result = error_result(error)
        watch.upstream = watch.answered = time.perf_counter()
        row = self_row(who.org, keep_bodies=tool.call.method == "GET")
        call_id = self._records.take(
            row, who, name, watch, arguments=arguments,
            response=b'{"result":%b}' % result, client=client,
            error=_recorded(error) if error is not None else None,
        )  # fmt: skip
        if error is not None and not decision:
            raise error
        return ToolResult(result=Raw(result), call_id=call_id)

    async def _result(
        self, who: Principal, tool: ManagementTool, decision: Decision, arguments: bytes
    ) -> bytes:
        call, adapter = tool.call, tool.adapter
        if not decision:
            raise _refusal(who, call, decision)
        if call.name == TOOL_CALL.name:
            _check_not_nested(arguments)
        if adapter is None:
            answer = await self._perform(who, call.name, arguments)
        else:
            asked = adapter.read(arguments)
            chosen = adapter.chosen(asked)
            decision = decide_as_tool(who, chosen)
            if not decision:
                raise _refusal(who, chosen, decision)
            given = msgspec.json.encode(adapter.into(who, asked))
            answer = adapter.out(asked, await self._perform(who, chosen.name, given))
        said = msgspec.json.encode(answer)
        structured = Raw(said) if said[:1] == b"{" else {schema.LIST: Raw(said)}
        content = [{"type": "text", "text": said.decode()}]
        return msgspec.json.encode({"content": content, "structuredContent": structured})

    def _find(self, name: str) -> ManagementTool:
        tool = self._tools.get(name)
        if tool is None:
            raise NotFound(
                f'"{SELF}" has no tool "{ascii(name[:60])[1:-1]}"', next=f"meshctl tool list {SELF}"
            )
        return tool

    def _allowed(self, who: Principal) -> list[ManagementTool]:
        return [tool for tool in self._tools.values() if decide_as_tool(who, tool.call)]


def tool_name(call: Call) -> str:
    """`key.add` is the tool `KEY_ADD`."""
    return call.name.replace(".", "_").upper()


def check_holds_self(who: Principal) -> None:
    """Pass who has any part in management.

    Raises:
        Denied: none, with the command that gives it all.
    """
    if not holds_self(who):
        raise Denied(
            f'key "{who.name}" holds no grant on "{SELF}"',
            next=f"meshctl key edit {who.name} --allow {SELF}",
        )


def self_row(org: str, *, keep_bodies: bool = True) -> ConnectionRow:
    """What stands for `self` where a connection is expected: at sessions and records of calls."""
    return ConnectionRow(
        id=SELF, org=org, name=SELF, transport=SELF, url=None, command=(), cwd=None,
        bodies="redacted" if keep_bodies else "off", enabled=True, created_at=0, sealed=(),
        revision=VERSION, state="ready", reason=None, seen_at=None,
    )  # fmt: skip


def error_result(error: MeshError) -> bytes:
    """The tool result that says what an error says; a denial is marked as everywhere."""
    lines = [_recorded(error), *(f"  {name}: {fact}" for name, fact in error.facts.items())]
    meta: dict[str, Any] = {"meshctl/error": error.body()["error"]}
    if isinstance(error, Denied):
        then = {"next": error.next} if error.next else {}
        meta["meshctl/denied"] = {"rule": error.message, **then}
    if error.next:
        lines.append(f"next: {error.next}")
    content = [{"type": "text", "text": "\n".join(lines)}]
    return msgspec.json.encode({"content": content, "isError": True, "_meta": meta})


def _recorded(error: MeshError) -> str:
    return f"denied: {error.message}" if isinstance(error, Denied) else error.message


def _refusal(who: Principal, call: Call, decision: Decision) -> Denied:
    if who.kind == "local":
        command = call.name.replace(".", " ")
        return Denied(decision.rule, next=f"meshctl {command} --help", facts={"call": call.name})
    return denied_call(who, call, decision)


def _check_not_nested(arguments: bytes) -> None:
    """Refuse a call within a call: each would double what the text of its answer escapes."""
    try:
        named = msgspec.json.decode(arguments, type=_Named).connection
    except msgspec.DecodeError:
        return  # the call itself says what is wrong with it
    if named.casefold() == SELF:
        raise BadRequest(f'the tools of "{SELF}" are called by their own names')


def _tool(call: Call) -> ManagementTool | None:
    """The tool that stands for a call; None for one that is no tool."""
    if call.socket_only or call.streams:
        return None
    return _described(call, tool_name(call), call.asks, call.answers)


def _adapted(adapter: compat.Adapter) -> ManagementTool:
    made = _described(adapter.call, adapter.tool, adapter.asks, adapter.answers)
    return replace(made, adapter=adapter)


def _described(call: Call, name: str, asks: type[Any], answers: Any) -> ManagementTool:
    title = name.replace("_", " ").capitalize()
    reads = call.method == "GET"
    removes = call.method in {"DELETE", "PATCH"} or call.destroys  # a change is no mere addition
    entry = msgspec.json.encode(
        {
            "name": name,
            "title": title,
            "description": call.summary,
            "inputSchema": schema.of_request(asks),
            "outputSchema": schema.of_answer(answers),
            "annotations": {
                "title": title,
                "readOnlyHint": reads,
                "destructiveHint": not reads and removes,
                "idempotentHint": call.method in {"GET", "DELETE"} or call.idempotent,
            },
        }
    )
    listed = from_entries([entry], 0)
    (read,) = listed.tools.values()
    return ManagementTool(call, entry, read, listed.tokens[read.name])

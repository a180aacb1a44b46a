"""Where the calls of subscriptions go: to a tool of a connection, or of a virtual MCP.

They go the way that `tool call` goes, and are recorded there.
"""

from meshd.services.access import decide
from meshd.services.directory import Directory
from meshd.services.lookup import find_connection, find_target
from meshd.services.principal import Principal
from meshd.services.refusals import denied
from meshd.services.tool_calls import ToolCalls
from meshd.services.tools import Tools
from meshd.services.virtual_tools import VirtualTools
from meshd.wire.errors import Denied, NotFound, UpstreamFailed
from meshd.wire.tool import ToolCall, ToolRef, ToolResult


class CallTargets:
    """Finds them, and says who may call them."""

    def __init__(
        self, directory: Directory, tools: Tools, calls: ToolCalls, virtual: VirtualTools
    ) -> None:
        self._directory = directory
        self._tools = tools
        self._calls = calls
        self._virtual = virtual

    def find(self, who: Principal, name: str) -> str:
        """The id of a connection or virtual MCP. Raises NotFound."""
        return find_target(self._directory.view, who.org, name).id

    async def check(self, who: Principal, target: str, tool: str) -> None:
        """Pass whoever may have a tool called by what they make now.

        Raises:
            Denied: they may not.
            NotFound: there is no such target; at a virtual MCP, no such tool.
        """
        if self._virtual.has(who, target):
            await self._virtual.check(who, ToolRef(connection=target, tool=tool))
            return
        row = find_connection(self._directory.view, who.org, target)
        decision = decide(who, row.id, "tool", tool, reads_only=lambda: True)
        if not decision:
            raise denied(who, row, decision)

    async def call(self, maker: Principal, asked: ToolCall, *, client: str) -> ToolResult:
        """Call as the maker, in the scope of then, and only what its key of now may call, too.

        Raises:
            Denied, NotFound and the like: it may not be called, or there was no answer.
        """
        present = self._directory.key_now(maker.id) if maker.kind == "key" else None
        if not self._virtual.has(maker, asked.connection):
            if present is not None:
                view = self._directory.view
                row = find_connection(view, maker.org, asked.connection, suggest=False)
                decision = await self._tools.decide(present, row, asked.tool)
                if not decision:
                    raise Denied(decision.rule)
            return await self._calls.call(maker, asked, client=client)
        try:
            if present is not None:
                await self._virtual.check(
                    present, ToolRef(connection=asked.connection, tool=asked.tool)
                )
            return await self._virtual.call(maker, asked, client=client)
        except NotFound as error:
            if not self._virtual.has(maker, asked.connection):
                raise
            # A child may be out of reach, or be without the tool for a while: that is no refusal.
            raise UpstreamFailed(error.message) from None

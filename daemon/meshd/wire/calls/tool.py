"""Calls about the tools behind connections."""

from meshd.wire import tool as t
from meshd.wire.calls.row import Call

LIST = Call(
    "tool.list",
    "GET",
    "/v1/tools",
    t.ToolList,
    list[t.Tool],
    "target",
    "List the tools one may call.",
)
SHOW = Call(
    "tool.show",
    "GET",
    "/v1/connections/{connection}/tools/{tool}",
    t.ToolRef,
    t.Tool,
    "target",
    "Show one tool with its schema.",
)
CALL = Call(
    "tool.call",
    "POST",
    "/v1/connections/{connection}/tools/{tool}/call",
    t.ToolCall,
    t.ToolResult,
    "target",
    "Call a tool.",
    destroys=True,  # as far as anybody knows
)

CALLS = (LIST, SHOW, CALL)

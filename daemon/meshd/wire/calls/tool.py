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

DIFF = Call(
    "tool.diff",
    "GET",
    "/v1/connections/{connection}/tool-changes",
    t.ToolDiff,
    list[t.ToolChange],
    "org",
    "Show what differs from the tools that were approved.",
)
APPROVE = Call(
    "tool.approve",
    "POST",
    "/v1/connections/{connection}/approve-tools",
    t.ToolApprove,
    t.ToolApproved,
    "org",
    "Approve tools of a pinned connection, as they were shown.",
    idempotent=True,
)

CALLS = (LIST, SHOW, CALL, DIFF, APPROVE)

"""Calls about connections."""

from meshd.wire import connection as c
from meshd.wire.calls.row import Call
from meshd.wire.empty import Nothing

LIST = Call(
    "connection.list",
    "GET",
    "/v1/connections",
    Nothing,
    list[c.Connection],
    "org",
    "List connections with their state.",
)
SHOW = Call(
    "connection.show",
    "GET",
    "/v1/connections/{connection}",
    c.ConnectionRef,
    c.Connection,
    "org",
    "Show one connection.",
)
ADD = Call(
    "connection.add",
    "POST",
    "/v1/connections",
    c.ConnectionAdd,
    c.Connection,
    "org",
    "Connect an MCP server over Streamable HTTP.",
)
ADD_STDIO = Call(
    "connection.add_stdio",
    "POST",
    "/v1/stdio-connections",
    c.ConnectionAddStdio,
    c.Connection,
    "instance",
    "Connect an MCP server that the daemon runs.",
)
EDIT = Call(
    "connection.edit",
    "PATCH",
    "/v1/connections/{connection}",
    c.ConnectionEdit,
    c.ConnectionEdited,
    "org",
    "Change a connection.",
)
EDIT_STDIO = Call(
    "connection.edit_stdio",
    "PATCH",
    "/v1/stdio-connections/{connection}",
    c.ConnectionEditStdio,
    c.ConnectionEdited,
    "instance",
    "Change a connection that the daemon runs.",
)
REMOVE = Call(
    "connection.remove",
    "DELETE",
    "/v1/connections/{connection}",
    c.ConnectionRef,
    c.Removed,
    "org",
    "Remove a connection, its credentials and its grants.",
)
ENABLE = Call(
    "connection.enable",
    "POST",
    "/v1/connections/{connection}/enable",
    c.ConnectionRef,
    c.Connection,
    "org",
    "Serve a connection again.",
    idempotent=True,
)
DISABLE = Call(
    "connection.disable",
    "POST",
    "/v1/connections/{connection}/disable",
    c.ConnectionRef,
    c.Connection,
    "org",
    "Stop serving a connection, keeping it.",
    idempotent=True,
)
TEST = Call(
    "connection.test",
    "POST",
    "/v1/connections/{connection}/test",
    c.ConnectionRef,
    c.ConnectionTested,
    "org",
    "Reach the MCP server and list its tools afresh.",
    idempotent=True,
)

CALLS = (LIST, SHOW, ADD, ADD_STDIO, EDIT, EDIT_STDIO, REMOVE, ENABLE, DISABLE, TEST)

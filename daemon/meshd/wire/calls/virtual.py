"""Calls about virtual MCPs."""

from meshd.wire import virtual as v
from meshd.wire.calls.row import Call
from meshd.wire.connection import Removed
from meshd.wire.empty import Nothing

LIST = Call(
    "virtual.list",
    "GET",
    "/v1/virtuals",
    Nothing,
    list[v.Virtual],
    "org",
    "List virtual MCPs.",
)
SHOW = Call(
    "virtual.show",
    "GET",
    "/v1/virtuals/{virtual}",
    v.VirtualShow,
    v.Virtual,
    "org",
    "Show one virtual MCP with what it is made of.",
)
CREATE = Call(
    "virtual.create",
    "POST",
    "/v1/virtuals",
    v.VirtualCreate,
    v.Virtual,
    "org",
    "Serve several connections as one MCP server.",
)
EDIT = Call(
    "virtual.edit",
    "PATCH",
    "/v1/virtuals/{virtual}",
    v.VirtualEdit,
    v.Virtual,
    "org",
    "Change a virtual MCP, but not what it is made of.",
)
ATTACH = Call(
    "virtual.attach",
    "POST",
    "/v1/virtuals/{virtual}/children",
    v.VirtualAttach,
    v.Virtual,
    "org",
    "Put a child into a virtual MCP, or change what is selected of it.",
)
DETACH = Call(
    "virtual.detach",
    "DELETE",
    "/v1/virtuals/{virtual}/children/{child}",
    v.VirtualDetach,
    v.Virtual,
    "org",
    "Take a child out of a virtual MCP.",
)
ENABLE = Call(
    "virtual.enable",
    "POST",
    "/v1/virtuals/{virtual}/enable",
    v.VirtualRef,
    v.Virtual,
    "org",
    "Serve a virtual MCP again.",
    idempotent=True,
)
DISABLE = Call(
    "virtual.disable",
    "POST",
    "/v1/virtuals/{virtual}/disable",
    v.VirtualRef,
    v.Virtual,
    "org",
    "Stop serving a virtual MCP, keeping it.",
    idempotent=True,
)
REMOVE = Call(
    "virtual.remove",
    "DELETE",
    "/v1/virtuals/{virtual}",
    v.VirtualRef,
    Removed,
    "org",
    "Remove a virtual MCP and the grants on it.",
)

CALLS = (LIST, SHOW, CREATE, EDIT, ATTACH, DETACH, ENABLE, DISABLE, REMOVE)

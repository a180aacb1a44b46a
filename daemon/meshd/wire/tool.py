"""Tools of a connection, as an operator lists and calls them."""

from typing import Annotated

from msgspec import Meta, Raw, Struct, field


def _no_members() -> Raw:
    return Raw(b"{}")


Object = Annotated[Raw, Meta(extra_json_schema={"type": "object"})]
"""Any JSON object, as it came."""


class Tool(Struct, kw_only=True):
    """One tool. `schema` is the upstream's `inputSchema` as it came; `tokens` is an estimate."""

    connection: str
    name: str
    title: str | None = None
    description: str = ""
    read_only: bool = False
    destructive: bool = False
    tokens: int = 0
    schema: Object = field(default_factory=_no_members)


class ToolList(Struct, kw_only=True):
    """Tools of one connection, or of all enabled ones."""

    connection: str | None = None


class ToolRef(Struct, kw_only=True):
    """One tool of one connection."""

    connection: str
    tool: str


class ToolCall(Struct, kw_only=True):
    """Arguments are carried as raw JSON."""

    connection: str
    tool: str
    arguments: Object = field(default_factory=_no_members)


class ToolResult(Struct, kw_only=True):
    """The upstream's `CallToolResult`, as it came, and the id of the call's record."""

    result: Object
    call_id: str

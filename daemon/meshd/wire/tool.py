"""Tools of a connection, as an operator lists and calls them."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field


def _no_members() -> Raw:
    return Raw(b"{}")


Object = Annotated[Raw, Meta(extra_json_schema={"type": "object"})]
"""Any JSON object, as it came."""


class Tool(Struct, kw_only=True):
    """One tool. `schema` is the upstream's `inputSchema` as it came; `tokens` is an estimate.

    `withheld` is there for a tool that nobody is served until it is approved, and says why.
    """

    connection: str
    name: str
    title: str | None = None
    description: str = ""
    read_only: bool = False
    destructive: bool = False
    tokens: int = 0
    withheld: Literal["new", "changed"] | UnsetType = UNSET
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


class ToolDiff(Struct, kw_only=True):
    """Names one connection, and one tool of it if only that is asked for."""

    connection: str
    tool: str | UnsetType = UNSET


class ToolChange(Struct, kw_only=True):
    """A tool that is not as it was: approved, at a pinned connection; before its last change, else.

    `before` and `after` are the definitions as they came, `fields` their members that differ.
    `fingerprint` is of what there is now, for `tool.approve`; null where the tool is gone.
    """

    connection: str
    tool: str
    change: Literal["added", "removed", "changed"]
    fields: list[str] = []
    before: Object | None = None
    after: Object | None = None
    fingerprint: str | None = None
    withheld: bool = False


class ToolApprove(Struct, kw_only=True):
    """Tools to approve, each with the fingerprint that was shown; null for one that is gone."""

    connection: str
    fingerprints: dict[str, str | None]


class ToolApproved(Struct, kw_only=True):
    """What is approved now."""

    connection: str
    approved: list[str]

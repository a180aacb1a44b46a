"""Virtual MCPs: connections, and other virtual MCPs, served as one MCP server."""

from typing import Literal

from msgspec import UNSET, Raw, Struct, UnsetType

Mode = Literal["passthrough", "smart_tool_selection"]
"""How its tools are offered: each by itself, or by three that search, describe and call."""

Naming = Literal["prefixed", "plain"]
"""What its tools are called: `CHILD_TOOL`, or as their child calls them."""

Kind = Literal["connection", "virtual"]


class ToolOverride(Struct, kw_only=True, omit_defaults=True):
    """How a tool is shown and called otherwise: another name or description, fewer arguments.

    `hidden` arguments are not shown, `pinned` ones have that value in every call.
    """

    name: str | None = None
    description: str | None = None
    hidden: list[str] = []
    pinned: dict[str, Raw] = {}


class ToolOverrideEdit(Struct, kw_only=True, omit_defaults=True):
    """Changes to a `ToolOverride`: what is left out stays. A name or description of null goes."""

    name: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    hidden: list[str] | UnsetType = UNSET
    pinned: dict[str, Raw] | UnsetType = UNSET


class VirtualChild(Struct, kw_only=True):
    """What one is made of. Null selects all tools, resources or prompts, `[]` none."""

    id: str
    name: str
    kind: Kind
    tools: list[str] | None = None
    resources: list[str] | None = None
    prompts: list[str] | None = None
    overrides: dict[str, ToolOverride] = {}


class ListSize(Struct, kw_only=True):
    """What a list of tools costs: its entries, its bytes as JSON, and about its tokens."""

    tools: int
    bytes: int
    tokens: int


class Virtual(Struct, kw_only=True):
    """A virtual MCP. `maker` is whose scope it runs under.

    `sizes` by mode are there where they were asked for: the lists that the asker would get.
    """

    id: str
    name: str
    description: str
    instructions: str | None = None
    mode: Mode
    naming: Naming
    enabled: bool
    children: list[VirtualChild]
    tools: int
    """How many tools are selected of those that its children last listed."""
    maker: str
    owner: str
    created_at: str
    sizes: dict[str, ListSize] | UnsetType = UNSET


class VirtualShow(Struct):
    """Names one by name or id. With `sizes` its lists are measured, so its children are asked."""

    virtual: str
    sizes: bool = False


class VirtualRef(Struct):
    """Names one virtual MCP by name or id."""

    virtual: str


class VirtualCreate(Struct, kw_only=True):
    """A new one with all of its `children`, named by name or id."""

    name: str
    description: str = ""
    instructions: str | None = None
    mode: Mode = "passthrough"
    naming: Naming = "prefixed"
    children: list[str] = []


class VirtualEdit(Struct, kw_only=True):
    """Changes to one, but not to what it is made of. What is left out stays."""

    virtual: str
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    instructions: str | UnsetType | None = UNSET
    mode: Mode | UnsetType = UNSET
    naming: Naming | UnsetType = UNSET


class VirtualAttach(Struct, kw_only=True):
    """A child, or changes to one: what is left out is all at first, and stays later.

    Patterns are over the child's own names, with `*` for any run of characters. `overrides` are by
    the child's name of a tool; null takes one away.
    """

    virtual: str
    child: str
    tools: list[str] | UnsetType | None = UNSET
    resources: list[str] | UnsetType | None = UNSET
    prompts: list[str] | UnsetType | None = UNSET
    overrides: dict[str, ToolOverrideEdit | None] = {}


class VirtualDetach(Struct):
    """Names a child of a virtual MCP, both by name or id."""

    virtual: str
    child: str

"""Connections: configured upstream MCP servers."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from meshd.wire.child import ChildProcess

Transport = Literal["http", "stdio"]
State = Literal["ready", "failing", "needs_login", "disabled", "unknown"]
Bodies = Literal["off", "redacted", "full"]
Trust = Literal["open", "pinned"]
"""Whether tools are served as they come, or as they were approved."""


class Connection(Struct, kw_only=True):
    """One upstream. Secret parts are named, never shown: headers, env, `?…` for a query.

    `child` is there for a stdio connection that is shown alone and was used since the start.
    """

    id: str
    name: str
    transport: Transport
    url: str | UnsetType = UNSET
    command: list[str] | UnsetType = UNSET
    cwd: str | UnsetType = UNSET
    headers: list[str] = []
    env: list[str] = []
    bodies: Bodies = "redacted"
    idle_s: int | UnsetType = UNSET
    """Seconds without use after which a stdio server is stopped; 0 is never."""
    state: State = "unknown"
    reason: str | None = None
    next_probe_s: float | UnsetType = UNSET
    """Seconds until an HTTP upstream whose calls are held back is probed again."""
    protocol: str | None = None
    """The newest MCP revision it was found to speak; null until it was asked since the start."""
    trust: Trust = "open"
    tools: int | None = None
    """Tools that are served; `withheld` ones, new or changed at a pinned connection, are not."""
    withheld: int | UnsetType = UNSET
    tokens: int | None = None
    destructive: int | None = None
    seen_at: str | None = None
    created_at: str
    child: ChildProcess | UnsetType = UNSET


class ConnectionRef(Struct):
    """Names one connection by name or id."""

    connection: str


class ConnectionAdd(Struct, kw_only=True):
    """A Streamable HTTP upstream. Header values go to the vault."""

    name: str
    url: str
    headers: dict[str, str] = {}
    bodies: Bodies = "redacted"
    trust: Trust = "open"
    """`pinned` approves the list that it is added with."""


class ConnectionAddStdio(Struct, kw_only=True):
    """A stdio upstream: a program that the daemon runs with its own user rights."""

    name: str
    command: list[str]
    env: dict[str, str] = {}
    cwd: str | None = None
    bodies: Bodies = "redacted"
    trust: Trust = "open"
    """`pinned` approves the list that it is added with."""


class ConnectionEdit(Struct, kw_only=True):
    """Changes to any connection but its program. A header set to null is removed."""

    connection: str
    name: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    headers: dict[str, str | None] = {}
    bodies: Bodies | UnsetType = UNSET
    trust: Trust | UnsetType = UNSET
    """An open one that becomes `pinned` has its list approved as it then stands."""


class ConnectionEditStdio(Struct, kw_only=True):
    """Changes to a stdio connection, its program included. An env value of null is removed."""

    connection: str
    name: str | UnsetType = UNSET
    command: list[str] | UnsetType = UNSET
    env: dict[str, str | None] = {}
    cwd: str | UnsetType | None = UNSET
    bodies: Bodies | UnsetType = UNSET
    trust: Trust | UnsetType = UNSET
    idle: str | UnsetType = UNSET
    """A duration such as `30m`, or `never`."""


class ConnectionEdited(Struct, kw_only=True):
    """The connection after the edit, and what had to be dropped (credentials of another origin)."""

    connection: Connection
    dropped: list[str] = []


class ConnectionTested(Struct, kw_only=True):
    """A fresh round trip: initialize and tools/list, with its milliseconds."""

    connection: Connection
    duration_ms: float
    server: str | None = None
    protocol: str | None = None


class Removed(Struct, kw_only=True):
    """What was removed."""

    id: str
    name: str

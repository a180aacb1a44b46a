"""The daemon itself: what runs, where, and how it fares."""

from typing import Literal

from msgspec import Struct

from meshd.wire.child import ChildProcess
from meshd.wire.config import SettingShown


class DaemonState(Struct, kw_only=True):
    """`locked` means that the vault's key is missing or wrong."""

    state: Literal["running", "locked", "stopped"]
    version: str
    pid: int
    uptime_s: float
    socket: str


class OrgName(Struct):
    """The org in use."""

    id: str
    name: str


class ConnectionCounts(Struct, kw_only=True):
    """Connections by state."""

    ready: int = 0
    failing: int = 0
    needs_login: int = 0
    disabled: int = 0
    unknown: int = 0


class Problem(Struct, kw_only=True):
    """Something an operator should look at, with the command that helps."""

    message: str
    next: str


class Status(Struct, kw_only=True):
    """What `meshctl status` shows."""

    daemon: DaemonState
    url: str
    org: OrgName
    connections: ConnectionCounts
    calls_today: int
    problems: list[Problem] = []


class DaemonShown(Struct, kw_only=True):
    """The inside of the daemon: files, children, queues, settings and where each came from."""

    state: Literal["running", "locked"] = "running"
    pid: int
    version: str
    python: str
    started_at: str
    socket: str
    url: str
    home: str
    log: str
    rss_bytes: int
    loop: str
    children: list[ChildProcess] = []
    sessions_ended: int = 0
    records_written: int = 0
    records_dropped: int = 0
    settings: list[SettingShown] = []
    env_files: list[str] = []


class Stopped(Struct, kw_only=True):
    """The daemon will be gone in a moment."""

    pid: int


class WhoAmI(Struct, kw_only=True):
    """Who the daemon takes you for."""

    principal: str
    name: str
    kind: Literal["local", "key"]
    org: OrgName
    permissions: dict[str, list[str]]
    role: str | None = None

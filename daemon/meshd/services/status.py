"""How things stand: for `status`, `whoami` and `daemon show`."""

import asyncio
import os
import platform
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from meshd.core.clock import Clock, iso
from meshd.core.config import Config
from meshd.core.usage import resident_bytes
from meshd.services.access import scope_at
from meshd.services.connections import Connections
from meshd.services.directory import Directory
from meshd.services.grants import to_json
from meshd.services.principal import Principal
from meshd.services.records import Records
from meshd.services.upstreams import Upstreams
from meshd.wire.daemon import (
    ConnectionCounts,
    DaemonShown,
    DaemonState,
    OrgName,
    Problem,
    Status,
    WhoAmI,
)
from meshd.wire.version import VERSION

_HELP = {"failing": "test", "needs_login": "edit"}


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Collects what the services know."""

    config: Callable[[], Config]
    clock: Clock
    directory: Directory
    connections: Connections
    records: Records
    upstreams: Upstreams
    url: Callable[[], str]
    sessions_ended: Callable[[], int]
    started_at: int
    locked: Callable[[], str | None] = lambda: None
    """Why the vault is locked, if it is."""

    async def status(self, who: Principal) -> Status:
        """What an operator wants to see first."""
        rows = [row for row in self.connections.all(who) if scope_at(who, row.id).any]
        counts = Counter[str](row.state for row in rows)
        problems = [
            Problem(
                message=f'connection "{row.name}" is {row.state.replace("_", " ")}: {row.reason}',
                next=f"meshctl connection {_HELP[row.state]} {row.name}",
            )
            for row in rows
            if row.state in _HELP
        ]
        locked = self.locked()
        if locked is not None:
            about = f"the vault is locked: {locked}"
            problems = [Problem(message=about, next="meshctl vault unlock")]
        return Status(
            daemon=DaemonState(
                state="running" if locked is None else "locked", version=VERSION,
                pid=os.getpid(),
                uptime_s=(self.clock.now() - self.started_at) / 1_000_000,
                socket=str(self.config().socket),
            ),
            url=self.url(),
            org=self._org(who),
            connections=ConnectionCounts(**counts),
            calls_today=await self.records.count_today(who),
            problems=problems,
        )  # fmt: skip

    def whoami(self, who: Principal) -> WhoAmI:
        """The principal as it is seen here."""
        return WhoAmI(
            principal=who.id, name=who.name, kind=who.kind, org=self._org(who),
            permissions=dict(to_json(who.permissions)), role=who.role,
        )  # fmt: skip

    async def inside(self) -> DaemonShown:
        """The inside of the daemon."""
        view = self.directory.view
        names = {
            row.id: f"{view.orgs[row.org]}/{row.name}" if len(view.orgs) > 1 else row.name
            for row in view.connections.values()
        }
        children = await self.upstreams.children()
        for child in children:
            child.connection = names.get(child.connection, child.connection)
        config = self.config()
        return DaemonShown(
            state="locked" if self.locked() else "running",
            pid=os.getpid(), version=VERSION, python=platform.python_version(),
            started_at=iso(self.started_at), socket=str(config.socket), url=self.url(),
            home=str(config.home), log=str(config.log), rss_bytes=resident_bytes(),
            loop=type(asyncio.get_running_loop()).__module__.partition(".")[0],
            children=children, sessions_ended=self.sessions_ended(),
            records_written=self.records.counters.written,
            records_dropped=self.records.counters.dropped,
            settings=config.shown(), env_files=[str(path) for path in config.env_files],
        )  # fmt: skip

    def _org(self, who: Principal) -> OrgName:
        return OrgName(who.org, self.directory.view.orgs[who.org])

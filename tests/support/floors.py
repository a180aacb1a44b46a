"""The decision floors of the daemon on real databases, without its doors: no socket, no port."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from meshd.core.config import read_config
from meshd.proxy.outbound import OutboundRules, open_session
from meshd.proxy.stdio_pool import StdioPool
from meshd.services.approvals import Approvals
from meshd.services.bell import Bell
from meshd.services.connections import Connections
from meshd.services.credentials import Credentials
from meshd.services.directory import Directory
from meshd.services.events import Events
from meshd.services.founding import Founding, found
from meshd.services.health import Health
from meshd.services.keys import Keys
from meshd.services.principal import EVERYTHING, Principal
from meshd.services.records import Records
from meshd.services.seals import Seals
from meshd.services.tool_calls import ToolCalls
from meshd.services.tools import Tools
from meshd.services.unlocking import Unlocking
from meshd.services.upstreams import Upstreams
from meshd.services.virtuals import Virtuals
from meshd.store import opening
from meshd.store.db import Database, Step
from meshd.store.scoped import ScopedDatabase
from meshd.store.sqlite import SqliteDatabase
from meshd.vault.sources.file import FileSource
from meshd.wire.key import KeyAdd
from tests.support import migrated
from tests.support.clock import FakeClock


@dataclass
class Floors:
    """Every service, and the principal at the socket."""

    folder: Path
    clock: FakeClock
    db: Database
    calls: Database
    scoped: ScopedDatabase
    scoped_calls: ScopedDatabase
    founding: Founding
    directory: Directory
    events: Events
    health: Health
    records: Records
    keys: Keys
    upstreams: Upstreams
    tools: Tools
    tool_calls: ToolCalls
    connections: Connections
    virtuals: Virtuals
    owner: Principal

    async def key(self, name: str = "laptop", **asked: Any) -> Principal:
        """A new key as the principal that it makes."""
        secret = (await self.keys.add(self.owner, KeyAdd(name=name, **asked))).key
        made = self.keys.authenticate(secret)
        assert made is not None
        return made

    async def key_of_someone(self, name: str = "foreign", **asked: Any) -> Principal:
        """A key that belongs to a person who is no instance admin."""
        made = await self.key(name, **asked)
        await self.db.write(
            Step("user.add", {"id": "usr_other", "name": "bob", "now": self.clock.now() + 1})
        )
        await self.raw("UPDATE keys SET owner_id = 'usr_other' WHERE id = :id", id=made.id)
        return self.directory.view.keys[made.id].principal

    async def raw(self, sql: str, **params: Any) -> None:
        """Run a statement that no service would, as another daemon might have; then refresh."""

        def run(connection: Any) -> None:
            connection.execute(sql, params)

        assert isinstance(self.db, SqliteDatabase)
        await self.db._writer.submit(run)
        await self.db.write(Step("revision.bump", {"topic": "keys"}))
        await self.directory.refresh()

    async def kinds(self) -> list[str]:
        """The types of all events, oldest first."""
        rows = await self.db.all("event.after", org_id=self.owner.org, after=0, limit=1000)
        return [row["type"].removeprefix("mesh.") for row in rows]


@asynccontextmanager
async def floors(folder: Path, url: str = "") -> AsyncIterator[Floors]:
    """Open them in a folder, and close them. `url` says where the data is if not there."""
    async with AsyncExitStack() as stack:
        clock = FakeClock()
        config = read_config({"MESHCTL_HOME": str(folder), "DATABASE_URL": url})
        if not url:
            migrated.put(folder)
        with patch.object(opening, "Queries", migrated.PARSED):
            databases = await stack.enter_async_context(opening.open_databases(config))
        await databases.migrate()
        main, calls = databases.main, databases.calls
        founding = await found(main, clock, lambda: "ada")
        file = FileSource(folder / "keys" / "master.key")
        unlocking = Unlocking(main, founding.vault, founding.installation, [file], clock)
        await unlocking.begin()
        directory = Directory(main, clock)
        directory.on_orgs(unlocking.follow)
        await directory.refresh()
        events = Events(main, clock, Bell())
        health = Health(main, directory, events, clock)
        records = Records(calls, directory, clock)
        keys = Keys(main, directory, events, clock)
        rules = OutboundRules()
        credentials = Credentials(founding.vault, Seals(main, founding.vault))
        client = await stack.enter_async_context(open_session(rules))
        upstreams = Upstreams(client, StdioPool(folder / "children"), credentials, health)
        stack.push_async_callback(upstreams.close)
        tools = Tools(main, directory, upstreams, events, clock)
        stack.push_async_callback(tools.close)
        tool_calls = ToolCalls(directory, upstreams, tools, records, clock)
        approvals = Approvals(main, directory, events, tools)
        connections = Connections(
            main,
            directory,
            events,
            credentials,
            upstreams,
            tools,
            approvals,
            health,
            rules,
            clock,
        )
        owner = Principal(
            id=founding.owner, name="ada", kind="local", org=founding.org, owner=founding.owner,
            permissions=EVERYTHING, role="owner", instance_admin=True,
        )  # fmt: skip
        yield Floors(
            folder, clock, main._database, calls._database, main, calls, founding, directory,
            events, health, records, keys, upstreams,
            tools, tool_calls, connections, Virtuals(main, directory, events, tools, clock), owner,
        )  # fmt: skip

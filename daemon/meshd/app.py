"""The composition root: opens everything in order, closes in reverse."""

import asyncio
import getpass
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from meshd.api import connection, daemon, key, record, tool
from meshd.api.dispatch import Dispatcher
from meshd.api.site import SocketSite
from meshd.core.clock import Clock
from meshd.core.config import Config
from meshd.core.tasks import TaskGroup
from meshd.gateway.endpoint import Endpoint
from meshd.gateway.gate import Gate
from meshd.gateway.passing import HttpPassing
from meshd.gateway.serving import StdioServing
from meshd.gateway.sessions import Sessions
from meshd.gateway.site import TcpSite, bind
from meshd.proxy import orphans
from meshd.proxy.outbound import OutboundRules, open_session
from meshd.proxy.stdio_pool import StdioPool
from meshd.services.connections import Connections
from meshd.services.credentials import Credentials
from meshd.services.directory import Directory
from meshd.services.events import Bell, Events
from meshd.services.founding import Founding, found
from meshd.services.health import Health
from meshd.services.keys import Keys
from meshd.services.principal import EVERYTHING, Principal
from meshd.services.records import Records
from meshd.services.status import StatusReport
from meshd.services.sweeping import Sweeper
from meshd.services.tools import Tools
from meshd.services.upstreams import Upstreams
from meshd.store.db import Database, Step
from meshd.store.queries import Queries
from meshd.store.sqlite import SqliteDatabase
from meshd.vault.seal import Sealer
from meshd.wire.calls import CALLS

log = logging.getLogger(__name__)

SQL = Path(str(files("meshd.store") / "sql"))
MIGRATIONS = Path(str(files("meshd.store") / "migrations"))


@dataclass(frozen=True, slots=True)
class Serving:
    """What the daemon tells once it serves."""

    url: str
    socket: str


@asynccontextmanager
async def serving(config: Config, clock: Clock, stopping: asyncio.Event) -> AsyncIterator[Serving]:
    """The whole daemon, from databases to open ports, until the block is left.

    The caller holds the lock of `config.home`. `stopping` is set when a caller asks for the end.
    """
    async with AsyncExitStack() as stack:
        killed = await asyncio.to_thread(orphans.reap, config.children)
        if killed:
            log.warning("ended %d orphans of the daemon before", len(killed))
        main, calls = await _open_databases(config, stack)
        founding = await found(main, config.master_key, clock, getpass.getuser)
        directory = Directory(main, clock)
        await directory.refresh()

        bell = Bell()
        events = Events(main, clock, bell)
        health = Health(main, directory, events, clock)
        records = Records(calls, directory, clock)
        keys = Keys(main, directory, events, clock)
        rules = OutboundRules(config.outbound_allow)
        credentials = Credentials(founding.vault)
        client = await stack.enter_async_context(open_session(rules))
        pool = StdioPool(config.children)
        upstreams = Upstreams(client, pool, credentials, health)
        stack.push_async_callback(upstreams.close)
        tools = Tools(main, directory, upstreams, records, clock)
        await tools.load()
        connections = Connections(
            main, directory, events, credentials, upstreams, tools, health, rules, clock
        )

        tasks = TaskGroup("meshd")
        stack.push_async_callback(_write_rest, tasks, records, health, keys)
        tasks.start("records", records.write_batches())
        tasks.start("health", health.write_changes())
        tasks.start("snapshot", directory.keep_fresh())
        tasks.start("sweeper", Sweeper(main, calls, keys, clock).run())

        sessions = Sessions(
            Sealer(founding.vault.derive("session"), founding.daemon, lambda: clock.now() / 1e6),
            founding.daemon,
            clock,
        )
        passing = HttpPassing(upstreams, sessions, health, tools)
        child_side = StdioServing(upstreams, sessions, health, tools)
        endpoint = Endpoint(directory, sessions, tools, records, passing, child_side, clock)

        listener = await _listen(config, main)
        port = listener.getsockname()[1]
        url = config.base_url or f"http://{_host(config.host)}:{port}"
        report = StatusReport(
            config, clock, directory, connections, records, upstreams, lambda: url,
            lambda: sessions.count_ended, clock.now(),
        )  # fmt: skip

        def stop() -> int:
            stopping.set()
            return os.getpid()

        dispatcher = Dispatcher(
            CALLS,
            {
                **connection.handlers(connections),
                **key.handlers(keys),
                **tool.handlers(tools),
                **record.handlers(records, events),
                **daemon.handlers(report, stop),
            },
            lambda who, name: name in {who.org, directory.view.orgs[who.org]},
        )
        owner = _owner(founding)
        tcp = TcpSite(keys, endpoint, lambda r, who: dispatcher.handle(r, who, on_socket=False))
        stack.push_async_callback(tcp.stop)
        await tcp.start(
            listener,
            Gate(port, config.base_url, config.allowed_hosts, config.allowed_origins),
        )
        unix = SocketSite(dispatcher, keys, lambda: owner, endpoint.handle_local)
        stack.push_async_callback(unix.stop)
        await unix.start(config.socket)
        stack.callback(config.socket.unlink, missing_ok=True)
        yield Serving(url, str(config.socket))


async def _open_databases(config: Config, stack: AsyncExitStack) -> tuple[Database, Database]:
    """The main database, and the one for call records that nothing promised waits for."""
    config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    queries = Queries.load(SQL)
    main = await SqliteDatabase.open(
        config.data / "mesh.db", queries, migrations=MIGRATIONS / "main"
    )
    stack.push_async_callback(main.close)
    calls = await SqliteDatabase.open(
        config.data / "calls.db", queries, migrations=MIGRATIONS / "calls", durable=False
    )
    stack.push_async_callback(calls.close)
    for database in (main, calls):
        applied = await database.migrate()
        if applied:
            log.info("applied migrations %s", applied)
    return main, calls


async def _listen(config: Config, main: Database) -> socket.socket:
    """The port that was asked for, else the one used last time, else the next free one."""
    row = await main.one("meta.get", name="port")
    listener = bind(config.host, config.port, int(row["value"]) if row else None)
    port = str(listener.getsockname()[1])
    if row is None or row["value"] != port:
        await main.write(Step("meta.put", {"name": "port", "value": port}))
    return listener


async def _write_rest(tasks: TaskGroup, records: Records, health: Health, keys: Keys) -> None:
    await tasks.stop()
    await records.flush()
    await health.flush()
    await keys.write_last_used()


def _owner(founding: Founding) -> Principal:
    return Principal(
        id=founding.owner, name=founding.owner_name, kind="local", org=founding.org,
        owner=founding.owner, permissions=EVERYTHING, role="owner", instance_admin=True,
    )  # fmt: skip


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host

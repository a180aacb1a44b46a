"""The composition root: opens everything in order, closes in reverse."""

import asyncio
import getpass
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from meshd.api import connection, daemon, key, record, tool
from meshd.api.dispatch import Dispatcher, Handler
from meshd.api.site import SocketSite
from meshd.core.clock import Clock
from meshd.core.config import Config
from meshd.core.log import set_level
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
from meshd.services.data_place import refuse_network
from meshd.services.directory import Directory
from meshd.services.events import Bell, Events
from meshd.services.founding import Founding, found
from meshd.services.health import Health
from meshd.services.keys import Keys
from meshd.services.principal import EVERYTHING, Principal
from meshd.services.rate_limit import RateLimit
from meshd.services.records import Records
from meshd.services.settings import Reloaded, Settings
from meshd.services.status import StatusReport
from meshd.services.sweeping import Retention, Sweeper
from meshd.services.tools import Tools
from meshd.services.upstreams import Upstreams
from meshd.store.db import Database, Step
from meshd.store.queries import Queries
from meshd.store.sqlite import SqliteDatabase
from meshd.vault.seal import Sealer
from meshd.wire.calls import CALLS

log = logging.getLogger(__name__)

SQL = Path(str(files("meshd.store") / "sql"))
READY_DEADLINE = 2.0
"""Seconds in which the databases have to answer a probe."""
MIGRATIONS = Path(str(files("meshd.store") / "migrations"))


@dataclass(frozen=True, slots=True)
class Serving:
    """What the daemon tells once it serves, and how settings that were read again reach it."""

    url: str
    socket: str
    reload: Callable[[Config], Awaitable[Reloaded]]


@dataclass(frozen=True, slots=True)
class _House:
    """Everything that decides and everything that reaches out, wired together."""

    main: Database
    calls: Database
    founding: Founding
    directory: Directory
    events: Events
    health: Health
    records: Records
    keys: Keys
    upstreams: Upstreams
    tools: Tools
    connections: Connections
    rules: OutboundRules
    keep: Retention
    limit: RateLimit


@asynccontextmanager
async def serving(
    config: Config, clock: Clock, stopping: asyncio.Event, hurry: asyncio.Event
) -> AsyncIterator[Serving]:
    """The whole daemon, from databases to open ports, until the block is left.

    The caller holds the lock of `config.home`. `stopping` is set when a caller asks for the end;
    once `hurry` is set, what is under way then is not waited for.
    """
    async with AsyncExitStack() as stack:
        killed = await asyncio.to_thread(orphans.reap, config.children)
        if killed:
            log.warning("ended %d orphans of the daemon before", len(killed))
        house = await _open_house(config, clock, stack)
        await _start_tasks(house, clock, stack)
        endpoint, sessions = _open_endpoint(house, clock)

        listener = await _listen(config, house.main)
        port = listener.getsockname()[1]
        url = config.base_url or f"http://{_host(config.host)}:{port}"
        gate = Gate(port, config.base_url, config.allowed_hosts, config.allowed_origins)
        settings = _open_settings(config, house, gate)
        report = StatusReport(
            lambda: settings.config, clock, house.directory, house.connections, house.records,
            house.upstreams, lambda: url, lambda: sessions.count_ended, clock.now(),
        )  # fmt: skip

        def stop() -> int:
            stopping.set()
            return os.getpid()

        dispatcher = _open_dispatcher(house, daemon.handlers(report, stop), stopping)
        tcp = TcpSite(
            house.keys, endpoint, lambda r, who: dispatcher.handle(r, who, on_socket=False),
            lambda: _is_ready(house), clock,
        )  # fmt: skip
        owner = _owner(house.founding)
        unix = SocketSite(dispatcher, house.keys, lambda: owner, endpoint.handle_local, clock)
        stack.push_async_callback(_stop_sites, house, tcp, unix, hurry)
        await tcp.start(listener, gate)
        await unix.start(config.socket)
        stack.callback(config.socket.unlink, missing_ok=True)
        yield Serving(url, str(config.socket), settings.reload)


async def _open_house(config: Config, clock: Clock, stack: AsyncExitStack) -> _House:
    main, calls = await _open_databases(config, stack)
    founding = await found(main, config.master_key, clock, getpass.getuser)
    directory = Directory(main, clock)
    await directory.refresh()
    events = Events(main, clock, Bell())
    health = Health(main, directory, events, clock)
    records = Records(calls, directory, clock)
    rules = OutboundRules(config.outbound_allow)
    credentials = Credentials(founding.vault)
    client = await stack.enter_async_context(open_session(rules))
    upstreams = Upstreams(client, StdioPool(config.children), credentials, health)
    stack.push_async_callback(upstreams.close)
    tools = Tools(main, directory, upstreams, records, clock)
    await tools.load()
    connections = Connections(
        main, directory, events, credentials, upstreams, tools, health, rules, clock
    )
    return _House(
        main, calls, founding, directory, events, health, records,
        Keys(main, directory, events, clock), upstreams, tools, connections, rules,
        Retention(config.keep_events, config.keep_calls),
        RateLimit(config.rate_limit, clock.monotonic),
    )  # fmt: skip


async def _start_tasks(house: _House, clock: Clock, stack: AsyncExitStack) -> None:
    tasks = TaskGroup("meshd")
    stack.push_async_callback(_write_rest, tasks, house)
    sweeper = Sweeper(house.main, house.calls, house.keys, clock, house.keep)
    tasks.start("records", house.records.write_batches())
    tasks.start("health", house.health.write_changes())
    tasks.start("snapshot", house.directory.keep_fresh())
    tasks.start("sweeper", sweeper.run())


async def _write_rest(tasks: TaskGroup, house: _House) -> None:
    await tasks.stop()
    await house.records.flush()
    await house.health.flush()
    await house.keys.write_last_used()


def _open_endpoint(house: _House, clock: Clock) -> tuple[Endpoint, Sessions]:
    key, name = house.founding.vault.derive("session"), house.founding.daemon
    sessions = Sessions(Sealer(key, name, lambda: clock.now() / 1e6), name, clock)
    passing = HttpPassing(house.upstreams, sessions, house.health, house.tools)
    children = StdioServing(house.upstreams, sessions, house.health, house.tools)
    endpoint = Endpoint(
        house.directory,
        sessions,
        house.tools,
        house.records,
        passing,
        children,
        clock,
        house.limit,
    )
    return endpoint, sessions


def _open_settings(config: Config, house: _House, gate: Gate) -> Settings:
    def keep(config: Config) -> None:
        house.keep.events, house.keep.calls = config.keep_events, config.keep_calls

    def limit(config: Config) -> None:
        house.limit.per_minute = config.rate_limit

    return Settings(
        config,
        house.main,
        house.events,
        _owner(house.founding),
        {
            "ALLOWED_HOSTS": lambda config: gate.allow_hosts(config.allowed_hosts),
            "ALLOWED_ORIGINS": lambda config: gate.allow_origins(config.allowed_origins),
            "OUTBOUND_ALLOW": lambda config: house.rules.allow(config.outbound_allow),
            "MESHCTL_LOG_LEVEL": lambda config: set_level(config.log_level),
            "MESHCTL_KEEP_EVENTS": keep,
            "MESHCTL_KEEP_CALLS": keep,
            "MESHCTL_RATE_LIMIT": limit,
        },
    )


def _open_dispatcher(
    house: _House, about_daemon: Mapping[str, Handler], stopping: asyncio.Event
) -> Dispatcher:
    orgs = house.directory
    return Dispatcher(
        CALLS,
        {
            **connection.handlers(house.connections),
            **key.handlers(house.keys),
            **tool.handlers(house.tools),
            **record.handlers(house.records, house.events),
            **about_daemon,
        },
        lambda who, name: name in {who.org, orgs.view.orgs[who.org]},
        stopping=stopping.is_set,
    )


async def _stop_sites(house: _House, tcp: TcpSite, unix: SocketSite, hurry: asyncio.Event) -> None:
    """Close both doors at once; who follows something is woken to leave."""
    house.events.bell.ring()
    house.records.bell.ring()
    await asyncio.gather(tcp.stop(hurry), unix.stop(hurry))


async def _is_ready(house: _House) -> bool:
    """Whether both databases answer; the vault is open since the founding."""
    try:
        async with asyncio.timeout(READY_DEADLINE):
            await asyncio.gather(
                house.main.one("meta.get", name="port"),
                house.calls.one("call.last", org_id=house.founding.org),
            )
    except Exception as error:  # noqa: BLE001 - whatever fails, calls would fail alike
        log.warning("not ready: %s", type(error).__name__)
        return False
    return True


async def _open_databases(config: Config, stack: AsyncExitStack) -> tuple[Database, Database]:
    """The main database, and the one for call records that nothing promised waits for."""
    config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    refuse_network(config.data)
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


def _owner(founding: Founding) -> Principal:
    return Principal(
        id=founding.owner, name=founding.owner_name, kind="local", org=founding.org,
        owner=founding.owner, permissions=EVERYTHING, role="owner", instance_admin=True,
    )  # fmt: skip


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host

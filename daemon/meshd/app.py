"""The composition root: opens everything in order, closes in reverse."""

import asyncio
import getpass
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from meshd.api import connection, daemon, key, record, tool
from meshd.api.dispatch import Dispatcher, Handler
from meshd.api.site import SocketSite
from meshd.core.clock import Clock
from meshd.core.config import Config
from meshd.core.http_peers import Peers
from meshd.core.log import set_level
from meshd.core.tasks import TaskGroup
from meshd.core.tls import Certificate
from meshd.gateway.debug import DebugSite
from meshd.gateway.endpoint import Endpoint
from meshd.gateway.gate import Gate
from meshd.gateway.passing import HttpPassing
from meshd.gateway.request_state import RequestStates
from meshd.gateway.serving import SharedServing
from meshd.gateway.sessions import Sessions
from meshd.gateway.site import TcpSite, bind
from meshd.gateway.stateless import Stateless
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
from meshd.services.rate_limit import RateLimit
from meshd.services.records import Records
from meshd.services.settings import Reloaded, Settings
from meshd.services.status import StatusReport
from meshd.services.sweeping import Retention, Sweeper
from meshd.services.tools import Tools
from meshd.services.upstreams import Upstreams
from meshd.store.db import Database, Step
from meshd.store.opening import explained, open_databases
from meshd.vault.seal import Sealer
from meshd.vault.seal_state import StateSealer
from meshd.wire.calls import CALLS

log = logging.getLogger(__name__)

READY_DEADLINE = 2.0
"""Seconds in which the databases have to answer a probe."""


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

        certificate = Certificate(*config.tls) if config.tls else None
        listener = await _listen(config, house.main)
        port = listener.getsockname()[1]
        url = config.base_url or _url(config, port)
        gate = Gate(port, config.base_url, config.allowed_hosts, config.allowed_origins)
        peers = Peers(config.trusted_proxies, everybody=certificate is not None)
        settings = _open_settings(config, house, gate, peers)
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
            lambda: _is_ready(house), clock, peers,
        )  # fmt: skip
        owner = _owner(house.founding)
        unix = SocketSite(dispatcher, house.keys, lambda: owner, endpoint.handle_local, clock)
        stack.push_async_callback(_stop_sites, house, tcp, unix, hurry)
        await tcp.start(listener, gate, certificate.context if certificate else None)
        await unix.start(config.socket)
        stack.callback(config.socket.unlink, missing_ok=True)

        async def reload(config: Config) -> Reloaded:
            if certificate is not None:
                certificate.load()
            return await settings.reload(config)

        if config.debug_port is not None:
            await _open_debug(config.debug_port, house, clock, stack)
        yield Serving(url, str(config.socket), reload)


async def _open_house(config: Config, clock: Clock, stack: AsyncExitStack) -> _House:
    databases = await stack.enter_async_context(open_databases(config))
    main, calls = databases.main, databases.calls
    directory = Directory(main, clock)
    with explained(config):
        applied = await databases.migrate()
        if applied:
            log.info("applied migrations %s", applied)
        founding = await found(main, config.master_key, clock, getpass.getuser)
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
    serving = SharedServing(house.upstreams, sessions, house.health, house.tools)
    sealer = StateSealer(house.founding.vault.derive("request-state"), lambda: clock.now() / 1e6)
    stateless = Stateless(
        house.upstreams, house.health, house.tools, passing, RequestStates(sealer)
    )
    endpoint = Endpoint(
        house.directory,
        sessions,
        house.tools,
        house.records,
        passing,
        serving,
        stateless,
        clock,
        house.limit,
    )
    return endpoint, sessions


async def _open_debug(port: int, house: _House, clock: Clock, stack: AsyncExitStack) -> None:
    debug = DebugSite(house.keys, clock)
    listener = bind("127.0.0.1", port, None)
    stack.push_async_callback(debug.stop)
    await debug.start(listener)
    log.info("the debug server listens on 127.0.0.1:%d", listener.getsockname()[1])


def _open_settings(config: Config, house: _House, gate: Gate, peers: Peers) -> Settings:
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
            "TRUSTED_PROXIES": lambda config: peers.trust(config.trusted_proxies),
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


def _url(config: Config, port: int) -> str:
    """Where clients on this machine reach the port."""
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - names, not a choice
    host = anywhere.get(config.host, config.host)
    return f"{'https' if config.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

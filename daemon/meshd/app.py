"""The composition root: opens everything in order, closes in reverse."""

import asyncio
import getpass
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from meshd.api import connection, daemon, db, event, key, org, record, tool, vault
from meshd.api.dispatch import Dispatcher, Handler
from meshd.api.locked import LockedControl
from meshd.api.site import SocketSite
from meshd.bus.dispatcher import Dispatcher as BusDispatcher
from meshd.bus.queue import Queue
from meshd.core.clock import Clock
from meshd.core.config import Config
from meshd.core.home import Remembered
from meshd.core.http_peers import Peers
from meshd.core.log import set_level
from meshd.core.tasks import TaskGroup
from meshd.core.tls import Certificate
from meshd.gateway.debug import DebugSite
from meshd.gateway.endpoint import Endpoint
from meshd.gateway.events_in import EventsIn
from meshd.gateway.gate import Gate
from meshd.gateway.inside import LockedHouse, OpenHouse
from meshd.gateway.passing import HttpPassing
from meshd.gateway.request_state import RequestStates
from meshd.gateway.serving import SharedServing
from meshd.gateway.sessions import Sessions
from meshd.gateway.site import TcpSite, bind
from meshd.gateway.stateless import Stateless
from meshd.proxy import orphans
from meshd.proxy.outbound import OutboundRules, open_session
from meshd.proxy.stdio_pool import StdioPool
from meshd.services.backing_up import Backups
from meshd.services.connections import Connections
from meshd.services.credentials import Credentials
from meshd.services.data_keys import DataKeys
from meshd.services.deliveries import Deliveries
from meshd.services.delivering import Delivering
from meshd.services.directory import Directory
from meshd.services.events import Bell, Events
from meshd.services.fan_out import FanOut
from meshd.services.following import Following
from meshd.services.founding import Founding, found
from meshd.services.health import Health
from meshd.services.intake import Intake
from meshd.services.keys import Keys
from meshd.services.management import Management
from meshd.services.org_choice import in_org
from meshd.services.orgs import Orgs
from meshd.services.principal import EVERYTHING, Principal
from meshd.services.publishing import Publishing
from meshd.services.quota import Quota
from meshd.services.rate_limit import RateLimit
from meshd.services.records import Records
from meshd.services.room import Room, free_for
from meshd.services.seals import Seals
from meshd.services.settings import Reloaded, Settings
from meshd.services.status import StatusReport
from meshd.services.subscriptions import Subscriptions
from meshd.services.sweeping import Retention, Sweeper
from meshd.services.tools import Tools
from meshd.services.unlocking import Unlocking
from meshd.services.upstreams import Upstreams
from meshd.services.vault_report import VaultReport
from meshd.services.webhook_seals import WebhookSeals
from meshd.store.opening import explained, open_databases
from meshd.store.scoped import ScopedDatabase
from meshd.vault.seal import Sealer
from meshd.vault.seal_state import StateSealer
from meshd.vault.sources.chain import sources
from meshd.wire.calls import CALLS
from meshd.wire.errors import Conflict
from meshd.wire.ids import new_id

log = logging.getLogger(__name__)

READY_DEADLINE = 2.0
"""Seconds in which the databases have to answer a probe."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What the daemon tells once it serves, and how settings that were read again reach it.

    `state` is `running`, or `locked` when the vault is.
    """

    url: str
    socket: str
    state: str
    reload: Callable[[Config], Awaitable[Reloaded]]


@dataclass(frozen=True, slots=True)
class _Bus:
    """Events on their way: in, and out again."""

    quota: Quota
    room: Room
    intake: Intake
    publishing: Publishing
    subscriptions: Subscriptions
    deliveries: Deliveries
    dispatcher: BusDispatcher
    seals: WebhookSeals


@dataclass(frozen=True, slots=True)
class _House:
    """Everything that decides and everything that reaches out, wired together."""

    main: ScopedDatabase
    calls: ScopedDatabase
    founding: Founding
    unlocking: Unlocking
    credentials: Credentials
    directory: Directory
    events: Events
    health: Health
    records: Records
    keys: Keys
    upstreams: Upstreams
    tools: Tools
    connections: Connections
    orgs: Orgs
    rules: OutboundRules
    keep: Retention
    limit: RateLimit
    following: Following
    backups: Backups
    bus: _Bus


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
        certificate = Certificate(*config.tls) if config.tls else None
        listener, name = await _listen(config, house.main)
        port = listener.getsockname()[1]
        url = config.base_url or _url(config, port)
        gate = Gate(port, config.base_url, config.allowed_hosts, config.allowed_origins)
        peers = Peers(config.trusted_proxies, everybody=certificate is not None)
        settings = _open_settings(config, house, gate, peers)
        report = StatusReport(
            lambda: settings.config, clock, house.directory, house.connections, house.records,
            house.upstreams, lambda: url, lambda: entrance.sessions_ended, clock.now(),
            lambda: house.unlocking.why,
        )  # fmt: skip

        def stop() -> int:
            stopping.set()
            return os.getpid()

        async def perform(who: Principal, name: str, given: bytes) -> object:
            return await dispatcher.call(who, name, given)

        management = Management(CALLS, perform, house.records, clock)
        others = {**daemon.handlers(report, stop), **tool.handlers(house.tools, management)}
        dispatcher = _open_dispatcher(house, others, stopping)
        entrance = _Entrance(house, dispatcher, management, clock, peers, name)
        tcp, unix = entrance.tcp, entrance.unix
        house.unlocking.opened = entrance.open
        await house.unlocking.begin()
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
        state = "running" if house.unlocking.why is None else "locked"
        yield Serving(url, str(config.socket), state, reload)


class _Entrance:
    """The two doors and where they lead: to what says that the vault is locked, or inside.

    A daemon that could not be unlocked at its start is unlocked while it runs. Nothing in the house
    asks which it is: without the vault's key nobody comes in.
    """

    def __init__(
        self,
        house: _House,
        dispatcher: Dispatcher,
        management: Management,
        clock: Clock,
        peers: Peers,
        name: str,
    ) -> None:
        """`name` is how sessions name this daemon."""
        self._management = management
        self._house, self._dispatcher, self._clock, self._name = house, dispatcher, clock, name
        self._sessions: Sessions | None = None
        why = house.unlocking.locked
        locked = LockedHouse(why)
        self.tcp = TcpSite(locked, clock, peers)
        self.unix = SocketSite(
            LockedControl(dispatcher, why), locked.answer_mcp, house.keys, lambda: _owner(house),
            _choosing(house), clock,
        )  # fmt: skip

    @property
    def sessions_ended(self) -> int:
        """How many sessions are known to have ended."""
        return self._sessions.count_ended if self._sessions else 0

    def open(self) -> None:
        """Let everybody in; from the vault comes the key of the sessions."""
        endpoint, self._sessions = _open_endpoint(
            self._house, self._management, self._clock, self._name
        )
        inside = OpenHouse(
            self._house.keys, endpoint,
            lambda request, who: self._dispatcher.handle(request, who, on_socket=False),
            EventsIn(self._house.directory, self._dispatcher.call).handle,
            lambda: _is_ready(self._house), self._house.limit,
        )  # fmt: skip
        self._house.bus.dispatcher.start()
        self.tcp.lead_to(inside)
        self.unix.lead_to(self._dispatcher, inside.answer_mcp)


async def _open_house(config: Config, clock: Clock, stack: AsyncExitStack) -> _House:
    databases = await stack.enter_async_context(open_databases(config))
    main, calls = databases.main, databases.calls
    directory, events = Directory(main, clock), Events(main, clock, Bell())
    main.on_change(directory.bell.ring)
    main.on_change(events.bell.ring)
    with explained(config):
        applied = await databases.migrate()
        if applied:
            log.info("applied migrations %s", applied)
        founding = await found(main, clock, getpass.getuser)
        directory.on_orgs(DataKeys(main, founding.vault).follow)
        await directory.refresh()
    unlocking = Unlocking(main, founding.vault, founding.installation, sources(config), clock)
    health = Health(main, directory, events, clock)
    records = Records(calls, directory, clock)
    rules = OutboundRules(config.outbound_allow)
    seals = Seals(main, founding.vault)
    credentials = Credentials(founding.vault, seals)
    client = await stack.enter_async_context(open_session(rules))
    upstreams = Upstreams(client, StdioPool(config.children), credentials, health)
    stack.push_async_callback(upstreams.close)
    tools = Tools(main, directory, upstreams, records, clock)
    await tools.load()
    connections = Connections(
        main, directory, events, credentials, upstreams, tools, health, rules, clock
    )
    stranger = await stack.enter_async_context(open_session(rules, stranger=True))
    webhooks = WebhookSeals(founding.vault, seals)
    delivering = Delivering(directory, tools, webhooks, client, stranger, clock)
    bus = _open_bus(main, directory, events, delivering, webhooks, rules, config, clock)
    return _House(
        main, calls, founding, unlocking, credentials, directory, events, health, records,
        Keys(main, directory, events, clock), upstreams, tools, connections,
        Orgs(main, directory, events, records, upstreams, tools, founding.vault, clock), rules,
        Retention(config.keep_events, config.keep_calls),
        RateLimit(config.rate_limit, clock.monotonic),
        Following(directory, upstreams, tools, health),
        Backups(config, databases, events, clock), bus,
    )  # fmt: skip


def _open_bus(
    main: ScopedDatabase, directory: Directory, events: Events, delivering: Delivering,
    seals: WebhookSeals, rules: OutboundRules, config: Config, clock: Clock,
) -> _Bus:  # fmt: skip
    fan_out = FanOut(lambda: directory.latest.subscriptions)
    events.deliver_by(fan_out.deliveries)
    quota, intake = Quota(config.publish_rate, clock.monotonic), Intake(main)
    room = Room(config.keep_free << 20, free_for(config), clock.monotonic)
    publishing = Publishing(intake, events, fan_out, quota, room, clock)

    async def pause(subscription: str, reason: str) -> None:
        await subscriptions.stop(subscription, reason)

    dispatcher = BusDispatcher(
        Queue(main, clock, new_id("run")), delivering.subscribers, delivering.deliver, pause, clock
    )
    subscriptions = Subscriptions(
        main, directory, events, publishing, seals, rules, dispatcher.is_held_back, clock
    )
    events.bell.on_ring(dispatcher.wake)
    deliveries = Deliveries(main, directory, events, dispatcher, clock)
    return _Bus(quota, room, intake, publishing, subscriptions, deliveries, dispatcher, seals)


async def _start_tasks(house: _House, clock: Clock, stack: AsyncExitStack) -> None:
    tasks = TaskGroup("meshd")
    stack.push_async_callback(_write_rest, tasks, house)
    sweeper = Sweeper(house.main, house.calls, house.keys, house.records, clock, house.keep)
    tasks.start("records", house.records.write_batches())
    tasks.start("health", house.health.write_changes())
    tasks.start("snapshot", house.directory.keep_fresh())
    tasks.start("sweeper", sweeper.run())
    tasks.start("following", house.following.run())
    tasks.start("owners", house.bus.subscriptions.follow_owners())
    stack.push_async_callback(house.bus.intake.stop)
    stack.push_async_callback(house.bus.dispatcher.stop)


async def _write_rest(tasks: TaskGroup, house: _House) -> None:
    await tasks.stop()
    await house.records.flush()
    await house.health.flush()
    await house.keys.write_last_used()


def _open_endpoint(
    house: _House, management: Management, clock: Clock, name: str
) -> tuple[Endpoint, Sessions]:
    key = house.founding.vault.derive("session")
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
        management,
        clock,
        house.limit,
    )
    return endpoint, sessions


async def _open_debug(port: int, house: _House, clock: Clock, stack: AsyncExitStack) -> None:
    debug = DebugSite(house.keys, clock, lambda: house.unlocking.why is not None)
    try:
        listener = bind("127.0.0.1", port, None)
    except Conflict:
        raise Conflict(f"DEBUG_PORT {port} is taken", next="meshctl config list") from None
    stack.push_async_callback(debug.stop)
    await debug.start(listener)
    log.info("the debug server listens on 127.0.0.1:%d", listener.getsockname()[1])


def _open_settings(config: Config, house: _House, gate: Gate, peers: Peers) -> Settings:
    def keep(config: Config) -> None:
        house.keep.events, house.keep.calls = config.keep_events, config.keep_calls

    def limit(config: Config) -> None:
        house.limit.per_minute = config.rate_limit

    def quota(config: Config) -> None:
        house.bus.quota.per_second = config.publish_rate
        house.bus.room.keep_free = config.keep_free << 20

    return Settings(
        config,
        house.main,
        house.events,
        lambda: _owner(house),
        {
            "TRUSTED_PROXIES": lambda config: peers.trust(config.trusted_proxies),
            "ALLOWED_HOSTS": lambda config: gate.allow_hosts(config.allowed_hosts),
            "ALLOWED_ORIGINS": lambda config: gate.allow_origins(config.allowed_origins),
            "OUTBOUND_ALLOW": lambda config: house.rules.allow(config.outbound_allow),
            "MESHCTL_LOG_LEVEL": lambda config: set_level(config.log_level),
            "MESHCTL_KEEP_EVENTS": keep,
            "MESHCTL_KEEP_CALLS": keep,
            "MESHCTL_RATE_LIMIT": limit,
            "MESHCTL_PUBLISH_RATE": quota,
            "MESHCTL_KEEP_FREE": quota,
        },
    )


def _open_dispatcher(
    house: _House, others: Mapping[str, Handler], stopping: asyncio.Event
) -> Dispatcher:
    unlocking = house.unlocking
    report = VaultReport(
        house.main, house.founding.vault, unlocking, house.credentials, house.bus.seals
    )

    async def note_unlocked(who: Principal) -> None:
        about = {"master_key": house.founding.vault.master_id.hex()}
        event = house.events.step(who, "vault.unlocked", "vault", about)
        await house.main.org(who.org).write(event)
        house.events.bell.ring()

    return Dispatcher(
        CALLS,
        {
            **connection.handlers(house.connections),
            **org.handlers(house.orgs),
            **key.handlers(house.keys),
            **record.handlers(house.records, house.events),
            **event.handlers(house.bus.publishing, house.bus.subscriptions, house.bus.deliveries),
            **vault.handlers(unlocking, report, note_unlocked),
            **db.handlers(house.backups),
            **others,
        },
        _choosing(house),
        stopping=stopping.is_set,
    )


async def _stop_sites(house: _House, tcp: TcpSite, unix: SocketSite, hurry: asyncio.Event) -> None:
    """Close both doors at once; who follows something is woken to leave."""
    house.events.bell.ring()
    house.records.bell.ring()
    await asyncio.gather(tcp.stop(hurry), unix.stop(hurry))


async def _is_ready(house: _House) -> bool:
    """Whether both databases answer; the vault is open, or nobody would ask."""
    try:
        async with asyncio.timeout(READY_DEADLINE):
            await asyncio.gather(
                house.main.one("revision.sum"),
                house.calls.org(house.founding.org).one("call.last"),
            )
    except Exception as error:  # noqa: BLE001 - whatever fails, calls would fail alike
        log.warning("not ready: %s", type(error).__name__)
        return False
    return True


async def _listen(config: Config, main: ScopedDatabase) -> tuple[socket.socket, str]:
    """The port that was asked for, else the one used last time, else the next free one.

    Told beside it is how sessions name this daemon.
    """
    before = await asyncio.to_thread(Remembered.read, config.remembered)
    if before.port is None and main.dialect == "sqlite":  # where older homes kept it
        row = await main.one("meta.get", name="port")
        before = replace(before, port=int(row["value"]) if row else None)
    listener = bind(config.host, config.port, before.port)
    now = replace(before, port=listener.getsockname()[1])
    await asyncio.to_thread(now.write, config.remembered)
    return listener, now.daemon


def _owner(house: _House) -> Principal:
    """The local owner, in the oldest org as long as none is named."""
    founding = house.founding
    return Principal(
        id=founding.owner, name=founding.owner_name, kind="local",
        org=next(iter(house.directory.latest.orgs), founding.org),
        owner=founding.owner, permissions=EVERYTHING, role="owner", instance_admin=True,
    )  # fmt: skip


def _choosing(house: _House) -> Callable[[Principal, str | None], Principal]:
    return lambda who, named: in_org(house.directory.view, who, named)


def _url(config: Config, port: int) -> str:
    """Where clients on this machine reach the port."""
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - names, not a choice
    host = anywhere.get(config.host, config.host)
    return f"{'https' if config.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

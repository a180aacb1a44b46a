"""Serving: the house opened, its doors and their settings; closed in reverse."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from meshd.api import connection, daemon, db, event, key, metrics, org, record, tool, vault, virtual
from meshd.api.dispatch import Dispatcher, Handler
from meshd.api.site import SocketSite
from meshd.app.entrance import Entrance
from meshd.app.house import House, choosing, open_house, owner_of, start_tasks
from meshd.app.inflow import open_inflow
from meshd.core.clock import Clock
from meshd.core.config import Config
from meshd.core.http_peers import Peers
from meshd.core.log import set_level
from meshd.core.tls import Certificate
from meshd.gateway.debug import DebugSite
from meshd.gateway.gate import Gate
from meshd.gateway.listening import listen, url_of
from meshd.gateway.metrics_page import MetricsPage
from meshd.gateway.site import TcpSite, bind
from meshd.proxy import orphans
from meshd.services.management import Management
from meshd.services.metrics import Doors, Metrics, Sources
from meshd.services.principal import Principal
from meshd.services.settings import Reloaded, Settings
from meshd.services.status import StatusReport
from meshd.services.tracing import tracing
from meshd.services.vault_report import VaultReport
from meshd.wire.calls import CALLS
from meshd.wire.errors import Conflict
from meshd.wire.metrics import Metric

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Serving:
    """What the daemon tells once it serves, and how settings that were read again reach it.

    `state` is `running`, or `locked` when the vault is.
    """

    url: str
    socket: str
    state: str
    reload: Callable[[Config], Awaitable[Reloaded]]


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
        house = await open_house(config, clock, stack)
        traces = await stack.enter_async_context(tracing(config.otlp, house.records))
        await start_tasks(house, clock, stack)
        certificate = Certificate(*config.tls) if config.tls else None
        listener, name = await listen(config, house.main)
        port = listener.getsockname()[1]
        url = config.base_url or url_of(config, port)
        gate = Gate(port, config.base_url, config.allowed_hosts, config.allowed_origins)
        peers = Peers(config.trusted_proxies, everybody=certificate is not None)
        more = traces.metrics if traces else tuple
        numbers = _open_metrics(house, clock, lambda: entrance.doors, more)
        page = MetricsPage(
            numbers, house.keys, peers, lambda: house.unlocking.why is not None,
            config.metrics_access,
        )  # fmt: skip
        settings = _open_settings(config, house, gate, peers, page)
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
        inflow = open_inflow(
            house.main, house.directory, house.events, house.bus.publishing, house.bus.seals,
            lambda: url, peers.is_single, house.bus.clock,
        )  # fmt: skip
        stack.push_async_callback(inflow.scheduler.stop)
        tools = tool.handlers(house.tool_calls, management, house.composed.tools, house.approvals)
        others = {**daemon.handlers(report, stop), **tools, **metrics.handlers(numbers)}
        others |= inflow.handlers
        dispatcher = _open_dispatcher(house, others, stopping)
        entrance = Entrance(house, dispatcher, management, inflow, clock, peers, page, name)
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


async def _open_debug(port: int, house: House, clock: Clock, stack: AsyncExitStack) -> None:
    debug = DebugSite(house.keys, clock, lambda: house.unlocking.why is not None)
    try:
        listener = bind("127.0.0.1", port, None)
    except Conflict:
        raise Conflict(f"DEBUG_PORT {port} is taken", next="meshctl config list") from None
    stack.push_async_callback(debug.stop)
    await debug.start(listener)
    log.info("the debug server listens on 127.0.0.1:%d", listener.getsockname()[1])


def _open_metrics(
    house: House,
    clock: Clock,
    doors: Callable[[], Doors],
    more: Callable[[], Iterable[Metric]],
) -> Metrics:
    return Metrics(Sources(
        house.directory, house.health, house.records, house.upstreams, house.bus.publishing,
        house.bus.dispatcher, house.main, clock, house.is_ready,
        lambda: house.unlocking.why is not None, doors, more,
    ))  # fmt: skip


def _open_settings(
    config: Config, house: House, gate: Gate, peers: Peers, page: MetricsPage
) -> Settings:
    def scraped(config: Config) -> None:
        page.access = config.metrics_access

    def keep(config: Config) -> None:
        house.keep.events, house.keep.calls = config.keep_events, config.keep_calls
        house.keep.waiting = config.keep_waiting

    def limit(config: Config) -> None:
        house.limit.per_minute = config.rate_limit

    def lifetimes(config: Config) -> None:
        keys = house.keys.lifetimes
        keys.default, keys.most = config.key_lifetime, config.key_max_lifetime

    def quota(config: Config) -> None:
        house.bus.quota.per_second = config.publish_rate
        house.bus.room.keep_free = config.keep_free << 20

    return Settings(
        config,
        house.main,
        house.events,
        lambda: owner_of(house),
        {
            "TRUSTED_PROXIES": lambda config: peers.trust(config.trusted_proxies),
            "ALLOWED_HOSTS": lambda config: gate.allow_hosts(config.allowed_hosts),
            "ALLOWED_ORIGINS": lambda config: gate.allow_origins(config.allowed_origins),
            "OUTBOUND_ALLOW": lambda config: house.rules.allow(config.outbound_allow),
            "METRICS_ACCESS": scraped,
            "MESHCTL_LOG_LEVEL": lambda config: set_level(config.log_level),
            "MESHCTL_KEEP_EVENTS": keep,
            "MESHCTL_KEEP_CALLS": keep,
            "MESHCTL_KEEP_WAITING": keep,
            "MESHCTL_KEY_LIFETIME": lifetimes,
            "MESHCTL_KEY_MAX_LIFETIME": lifetimes,
            "MESHCTL_RATE_LIMIT": limit,
            "MESHCTL_PUBLISH_RATE": quota,
            "MESHCTL_KEEP_FREE": quota,
        },
    )


def _open_dispatcher(
    house: House, others: Mapping[str, Handler], stopping: asyncio.Event
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
            **virtual.handlers(house.virtuals, house.composed.serving),
            **key.handlers(house.keys),
            **record.handlers(house.records, house.events),
            **event.handlers(house.bus.publishing, house.bus.subscriptions, house.bus.deliveries),
            **vault.handlers(unlocking, report, note_unlocked),
            **db.handlers(house.backups),
            **others,
        },
        choosing(house),
        stopping=stopping.is_set,
    )


async def _stop_sites(house: House, tcp: TcpSite, unix: SocketSite, hurry: asyncio.Event) -> None:
    """Close both doors at once; who follows something is woken to leave.

    Deliveries under way get their time beside the calls: nothing new is claimed meanwhile.
    """
    house.events.bell.ring()
    house.records.bell.ring()
    await asyncio.gather(tcp.stop(hurry), unix.stop(hurry), house.bus.dispatcher.stop())

"""Everything that decides and everything that reaches out, opened in order and wired together."""

import getpass
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from meshd.bus.dispatcher import Dispatcher as BusDispatcher
from meshd.bus.queue import Queue
from meshd.core.clock import Clock
from meshd.core.config import Config
from meshd.core.tasks import TaskGroup
from meshd.proxy.outbound import OutboundRules, open_session
from meshd.proxy.stdio_pool import StdioPool
from meshd.services.approvals import Approvals
from meshd.services.backing_up import Backups
from meshd.services.bell import Bell
from meshd.services.call_targets import CallTargets
from meshd.services.connections import Connections
from meshd.services.credentials import Credentials
from meshd.services.dead_letters import DeadLetters
from meshd.services.deliveries import Deliveries
from meshd.services.delivering import Delivering
from meshd.services.directory import Directory
from meshd.services.events import Events
from meshd.services.expiring import Expiring
from meshd.services.fan_out import FanOut
from meshd.services.following import Following
from meshd.services.founding import Founding, found
from meshd.services.health import Health
from meshd.services.held_back import HeldBack
from meshd.services.intake import Intake
from meshd.services.keys import Keys
from meshd.services.lifetimes import Lifetimes
from meshd.services.org_choice import in_org
from meshd.services.orgs import Orgs
from meshd.services.principal import EVERYTHING, Principal
from meshd.services.publishing import Publishing
from meshd.services.quota import Quota
from meshd.services.rate_limit import RateLimit
from meshd.services.readiness import is_ready
from meshd.services.records import Records
from meshd.services.room import Room, free_for
from meshd.services.seals import Seals
from meshd.services.subscriptions import Subscriptions
from meshd.services.sweeping import Retention, Sweeper
from meshd.services.tool_calls import ToolCalls
from meshd.services.tools import Tools
from meshd.services.unlocking import Unlocking
from meshd.services.upstreams import Upstreams
from meshd.services.virtual_opening import OpenVirtuals, open_virtuals
from meshd.services.virtuals import Virtuals
from meshd.services.webhook_seals import WebhookSeals
from meshd.store.opening import explained, open_databases
from meshd.store.scoped import ScopedDatabase
from meshd.store.shared_clock import SharedClock
from meshd.vault.sources.chain import sources
from meshd.wire.ids import new_id

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bus:
    """Events on their way: in, and out again."""

    quota: Quota
    room: Room
    intake: Intake
    publishing: Publishing
    subscriptions: Subscriptions
    deliveries: Deliveries
    dispatcher: BusDispatcher
    seals: WebhookSeals
    dead: DeadLetters
    clock: Clock
    """That of the database, where several daemons use it."""


@dataclass(frozen=True, slots=True)
class House:
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
    tool_calls: ToolCalls
    approvals: Approvals
    connections: Connections
    virtuals: Virtuals
    composed: OpenVirtuals
    orgs: Orgs
    rules: OutboundRules
    keep: Retention
    limit: RateLimit
    following: Following
    backups: Backups
    bus: Bus

    async def is_ready(self) -> bool:
        """Whether the databases answer."""
        return await is_ready(self.main, self.calls, self.founding.org)


async def open_house(config: Config, clock: Clock, stack: AsyncExitStack) -> House:
    """Open it all, the databases first; closed in reverse when the stack is left."""
    databases = await stack.enter_async_context(open_databases(config))
    main, calls = databases.main, databases.calls
    shared = SharedClock(main, clock)
    directory, events = Directory(main, clock), Events(main, shared, Bell())
    main.on_change(directory.bell.ring)
    main.on_change(events.bell.ring)
    with explained(config):
        await shared.look()
        applied = await databases.migrate()
        if applied:
            log.info("applied migrations %s", applied)
        founding = await found(main, clock, getpass.getuser)
        unlocking = Unlocking(main, founding.vault, founding.installation, sources(config), clock)
        directory.on_orgs(unlocking.follow)
        await directory.refresh()
    health = Health(main, directory, events, clock)
    records = Records(calls, directory, clock)
    rules = OutboundRules(config.outbound_allow)
    seals = Seals(main, founding.vault)
    credentials = Credentials(founding.vault, seals)
    client = await stack.enter_async_context(open_session(rules))
    upstreams = Upstreams(client, StdioPool(config.children), credentials, health)
    stack.push_async_callback(upstreams.close)
    tools = Tools(main, directory, upstreams, events, clock)
    stack.push_async_callback(tools.close)
    await tools.load()
    tool_calls = ToolCalls(directory, upstreams, tools, records, clock)
    approvals = Approvals(main, directory, events, tools)
    composed = await stack.enter_async_context(
        open_virtuals(main, directory, upstreams, tools, tool_calls, health, records, clock)
    )
    connections = Connections(
        main, directory, events, credentials, upstreams, tools, approvals, health, rules, clock
    )
    stranger = await stack.enter_async_context(open_session(rules, stranger=True))
    webhooks = WebhookSeals(founding.vault, seals)
    targets = CallTargets(directory, tools, tool_calls, composed.tools)
    delivering = Delivering(directory, targets, webhooks, client, stranger, clock)
    lifetimes = Lifetimes(config.key_lifetime, config.key_max_lifetime)
    bus = _open_bus(main, directory, events, delivering, targets, webhooks, rules, config, shared)
    return House(
        main, calls, founding, unlocking, credentials, directory, events, health, records,
        Keys(main, directory, events, clock, lifetimes), upstreams, tools, tool_calls, approvals,
        connections,
        Virtuals(main, directory, events, tools, clock), composed,
        Orgs(main, directory, events, records, upstreams, tools, founding.vault, clock), rules,
        Retention(config.keep_events, config.keep_calls, config.keep_waiting),
        RateLimit(config.rate_limit, clock.monotonic),
        Following(directory, upstreams, tools, health),
        Backups(config, databases, events, clock), bus,
    )  # fmt: skip


def _open_bus(
    main: ScopedDatabase, directory: Directory, events: Events, delivering: Delivering,
    targets: CallTargets, seals: WebhookSeals, rules: OutboundRules, config: Config,
    clock: SharedClock,
) -> Bus:  # fmt: skip
    fan_out = FanOut(lambda: directory.latest.subscriptions)
    events.deliver_by(fan_out.deliveries)
    quota, intake = Quota(config.publish_rate, clock.monotonic), Intake(main)
    room = Room(config.keep_free << 20, free_for(config), clock.monotonic)
    publishing = Publishing(intake, events, fan_out, quota, room, clock)

    async def pause(subscription: str, reason: str) -> None:
        await subscriptions.stop(subscription, reason)

    dead = DeadLetters(main, events, lambda: directory.latest.subscriptions, clock)
    queue = Queue(main, clock, new_id("run"), dead.of_attempts, clock.look)
    held_back = HeldBack(main, events, lambda: directory.latest.subscriptions)
    dispatcher = BusDispatcher(
        queue, delivering.subscribers, delivering.deliver, pause, clock, held_back.tell
    )
    subscriptions = Subscriptions(
        main, directory, events, publishing, targets, seals, rules, dispatcher.is_held_back, clock
    )
    events.bell.on_ring(dispatcher.wake)
    deliveries = Deliveries(main, directory, events, dispatcher, clock)
    return Bus(
        quota, room, intake, publishing, subscriptions, deliveries, dispatcher, seals, dead, clock
    )


async def start_tasks(house: House, clock: Clock, stack: AsyncExitStack) -> None:
    """Start what runs beside the requests; what it still holds is written when it is stopped."""
    tasks = TaskGroup("meshd")
    stack.push_async_callback(_write_rest, tasks, house)
    sweeper = Sweeper(
        house.main, house.calls, house.keys, house.records, house.bus.clock, house.keep,
        house.bus.dead.expire,
    )  # fmt: skip
    tasks.start("records", house.records.write_batches())
    tasks.start("health", house.health.write_changes())
    tasks.start("snapshot", house.directory.keep_fresh())
    tasks.start("sweeper", sweeper.run())
    expiring = Expiring(house.main, house.directory, house.events, clock)
    tasks.start("expiring", expiring.run())
    tasks.start("following", house.following.run())
    tasks.start("owners", house.bus.subscriptions.follow_owners())
    stack.push_async_callback(house.bus.intake.stop)
    stack.push_async_callback(house.bus.dispatcher.stop)


async def _write_rest(tasks: TaskGroup, house: House) -> None:
    await tasks.stop()
    await house.records.flush()
    await house.health.flush()
    await house.keys.write_last_used()


def owner_of(house: House) -> Principal:
    """The local owner, in the oldest org as long as none is named."""
    founding = house.founding
    return Principal(
        id=founding.owner, name=founding.owner_name, kind="local",
        org=next(iter(house.directory.latest.orgs), founding.org),
        owner=founding.owner, permissions=EVERYTHING, role="owner", instance_admin=True,
    )  # fmt: skip


def choosing(house: House) -> Callable[[Principal, str | None], Principal]:
    """Puts a principal into the org that a request names."""
    return lambda who, named: in_org(house.directory.view, who, named)

"""What brings events in by itself, wired together: schedules, and webhooks of other services."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from meshd.api import schedule, webhook
from meshd.api.dispatch import Handler
from meshd.bus.scheduler import Scheduler
from meshd.core.clock import Clock
from meshd.gateway.hooks_in import HooksIn
from meshd.services.directory import Directory
from meshd.services.events import Events
from meshd.services.firing import Firing
from meshd.services.forgeries import Forgeries
from meshd.services.publishing import Publishing
from meshd.services.schedules import Schedules
from meshd.services.webhook_seals import WebhookSeals
from meshd.services.webhooks import Webhooks
from meshd.store.scoped import ScopedDatabase


@dataclass(frozen=True, slots=True)
class Inflow:
    """`scheduler` is to be started and stopped; `hooks` answers what services send."""

    handlers: Mapping[str, Handler]
    hooks: HooksIn
    scheduler: Scheduler


def open_inflow(
    db: ScopedDatabase,
    directory: Directory,
    events: Events,
    publishing: Publishing,
    seals: WebhookSeals,
    base_url: Callable[[], str],
    is_single: Callable[[str], bool],
    clock: Clock,
) -> Inflow:
    """Open it; nothing runs yet."""
    schedules = Schedules(db, directory, events, clock)
    firing = Firing(db, directory, events, publishing, schedules.stop, clock)
    scheduler = Scheduler(firing.fire_due)
    schedules.bell.on_ring(scheduler.wake)
    webhooks = Webhooks(db, directory, events, publishing, seals, base_url, clock)
    hooks = HooksIn(webhooks, Forgeries(clock.monotonic), is_single)
    handlers = {**schedule.handlers(schedules, firing), **webhook.handlers(webhooks)}
    return Inflow(handlers, hooks, scheduler)

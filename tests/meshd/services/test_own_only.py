"""A key that speaks for a connection changes what is that connection's own, whatever its grants."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from meshd.api import event, schedule, webhook
from meshd.bus.retry import Outcome
from meshd.services.principal import Principal
from meshd.services.webhooks import Webhooks
from meshd.wire.calls import CALLS
from meshd.wire.connection import ConnectionAdd
from meshd.wire.errors import Conflict, Denied
from meshd.wire.event import EventPublish
from meshd.wire.schedule import ScheduleAdd
from meshd.wire.subscription import WebhookAdd
from meshd.wire.webhook import WebhookNew
from tests.support.bus import Bus
from tests.support.floors import Floors
from tests.support.schedules import Timetable

SECRET = "a secret of some length"
VERBS: dict[str, dict[str, Any]] = {
    "subscription.pause": {"subscription": "crm-sub"},
    "subscription.resume": {"subscription": "crm-sub"},
    "subscription.remove": {"subscription": "crm-sub"},
    "subscription.edit": {"subscription": "crm-sub", "owner": "me"},
    "subscription.rotate_secret": {"subscription": "crm-sub"},
    "subscription.test": {"subscription": "crm-sub"},
    "event.cancel": {"event": "crm-event"},
    "event.retry": {"event": "crm-event"},
    "event.replay": {"event": "crm-event"},
    "event.ack": {"event": "crm-event", "connection": "crm"},
    "event.dead_retry": {"delivery": ...},
    "event.dead_drop": {"delivery": ...},
    "schedule.pause": {"schedule": "crm-s"},
    "schedule.resume": {"schedule": "crm-s"},
    "schedule.edit": {"schedule": "crm-s", "owner": "me"},
    "schedule.remove": {"schedule": "crm-s"},
    "schedule.run": {"schedule": "crm-s"},
    "webhook.pause": {"webhook": "crm-w"},
    "webhook.resume": {"webhook": "crm-w"},
    "webhook.edit": {"webhook": "crm-w", "owner": "me"},
    "webhook.rotate": {"webhook": "crm-w", "signing": SECRET},
    "webhook.remove": {"webhook": "crm-w"},
}
"""What changes a thing that is there; `...` stands for the dead delivery."""
MAKES = {
    "event.publish", "event.publish_as", "schedule.add", "schedule.publish", "subscription.add",
    "subscription.add_webhook", "subscription.sync", "webhook.add",
}  # fmt: skip
"""What makes something, or changes one's own alone by what it is."""


class Stage:
    """Two connections with a key each; the one of crm has made one of everything."""

    def __init__(self, house: Floors) -> None:
        self.bus = Bus.over(house)
        times = Timetable.over(self.bus)
        hooks = Webhooks(
            house.scoped, house.directory, house.events, self.bus.publishing,
            self.bus.delivering._seals, lambda: "http://here", house.clock,
        )  # fmt: skip
        self.handlers = {
            **event.handlers(self.bus.publishing, self.bus.subscriptions, self.bus.deliveries),
            **schedule.handlers(times.schedules, times.firing), **webhook.handlers(hooks),
        }  # fmt: skip

    async def do(self, who: Principal, verb: str, **asked: Any) -> Any:
        """Ask as the dispatcher does, once the permission is given."""
        (call,) = [one for one in CALLS if one.name == verb]
        given = {name: self.dead if value is ... else value for name, value in asked.items()}
        done = self.handlers[verb](who, msgspec.convert(given, call.asks))
        return await done if hasattr(done, "__await__") else done

    async def set_up(self) -> None:
        house = self.bus.house
        for name in ("erp", "crm"):
            made = ConnectionAdd(name=name, url="http://127.0.0.1:1/")
            await house.connections.add(house.owner, made)
        exact = [
            "self/subscription.add_webhook",
            "self/event.*",
            "self/schedule.*",
            "self/webhook.*",
        ]
        allow = ["crm", "erp", "self/*", *exact]
        self.erp = await house.key("erp-key", allow=allow, connection="erp")
        self.crm = await house.key("crm-key", allow=allow, connection="crm")

        async def hopeless(claims: list[Any]) -> list[Outcome]:
            return [Outcome("hopeless", "no")] * len(claims)

        self.bus.dispatcher._deliver = hopeless
        hook = WebhookAdd(types=["order.made"], webhook="http://127.0.0.1:9/", name="crm-sub")
        await self.do(self.crm, "subscription.add_webhook", **msgspec.to_builtins(hook))
        published = EventPublish(type="order.made", id="crm-event", data=Raw(b"1"))
        await self.bus.publishing.publish(self.crm, published)
        await self.bus.turn()
        (row,) = await self.bus.rows(state="dead")
        self.dead = row.id
        cron = ScheduleAdd(name="crm-s", type="tick", cron="@daily", data=Raw(b"1"))
        await self.handlers["schedule.add"](self.crm, cron)
        new = WebhookNew(name="crm-w", signature="github", signing=SECRET)
        await self.handlers["webhook.add"](self.crm, new)


@pytest.fixture
async def stage(house: Floors) -> AsyncIterator[Stage]:
    made = Stage(house)
    await made.set_up()
    yield made
    await made.bus.dispatcher.stop()
    for pool in (made.bus.delivering._trusted, made.bus.delivering._public):
        await pool.close()


def test_the_table_has_every_verb() -> None:
    """A new one that changes something is bound as well, or says why not."""
    nouns = ("event", "delivery", "schedule", "webhook", "subscription")
    changing = {
        one.name for one in CALLS if one.name.split(".")[0] in nouns and one.method != "GET"
    }
    assert changing == VERBS.keys() | MAKES


@pytest.mark.parametrize("verb", ["event.cancel", "event.retry", "event.replay"])
async def test_an_id_that_others_chose_too_is_ones_own(stage: Stage, verb: str) -> None:
    """Nobody keeps a connection from its event by publishing one of the same id."""
    published = EventPublish(type="order.made", id="crm-event", data=Raw(b"2"))
    await stage.bus.publishing.publish(stage.erp, published)
    await stage.do(stage.crm, verb, event="crm-event")
    with pytest.raises(Conflict):
        await stage.do(stage.bus.house.owner, verb, event="crm-event")


@pytest.mark.parametrize("verb", VERBS)
async def test_what_is_anothers_is_refused(stage: Stage, verb: str) -> None:
    """And left as it was: whose own it is may do it still, and so may the operator."""
    before = await stage.bus.house.kinds()
    with pytest.raises(Denied):
        await stage.do(stage.erp, verb, **VERBS[verb])
    assert await stage.bus.house.kinds() == before
    with suppress(Conflict):  # it is as it is to be already
        await stage.do(stage.crm, verb, **VERBS[verb])


@pytest.mark.parametrize("verb", VERBS)
async def test_an_operator_is_bound_by_grants_alone(stage: Stage, verb: str) -> None:
    with suppress(Conflict):
        await stage.do(stage.bus.house.owner, verb, **VERBS[verb])


@pytest.mark.parametrize("verb", ["event.dead_retry", "event.dead_drop"])
async def test_all_that_is_dead_is_ones_own(stage: Stage, verb: str) -> None:
    assert (await stage.do(stage.erp, verb, all=True)).deliveries == []
    assert (await stage.do(stage.crm, verb, all=True)).deliveries == [stage.dead]

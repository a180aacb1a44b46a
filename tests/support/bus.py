"""The bus on the decision floors: a clock that stands still, and a loop that a test turns."""

import asyncio
from dataclasses import dataclass
from typing import Any

from meshd.bus.dispatcher import Dispatcher
from meshd.bus.queue import Queue
from meshd.proxy.outbound import OutboundRules, open_session
from meshd.services.call_targets import CallTargets
from meshd.services.child_lists import ChildLists
from meshd.services.dead_letters import DeadLetters
from meshd.services.deliveries import Deliveries
from meshd.services.delivering import Delivering
from meshd.services.fan_out import FanOut
from meshd.services.held_back import HeldBack
from meshd.services.held_names import HeldNames
from meshd.services.intake import Intake
from meshd.services.publishing import Publishing
from meshd.services.quota import Quota
from meshd.services.room import Room
from meshd.services.seals import Seals
from meshd.services.served_lists import ServedLists
from meshd.services.subscriptions import Subscriptions
from meshd.services.virtual_serving import VirtualServing
from meshd.services.virtual_tools import VirtualTools
from meshd.services.webhook_seals import WebhookSeals
from meshd.wire.delivery import DeliveryList
from meshd.wire.event import EventPublish, Published
from tests.support.floors import Floors


@dataclass
class Bus:
    """Every part of it, over floors."""

    house: Floors
    publishing: Publishing
    subscriptions: Subscriptions
    deliveries: Deliveries
    dispatcher: Dispatcher
    delivering: Delivering
    dead: DeadLetters
    lists: ServedLists
    free: int = 1 << 30
    """Bytes that the disk has left."""

    @classmethod
    def over(cls, house: Floors, owner: str = "run_test", rate: int = 5000) -> "Bus":
        """A daemon's bus; `owner` tells those of several daemons apart."""
        rules = OutboundRules()
        seals = WebhookSeals(house.founding.vault, Seals(house.scoped, house.founding.vault))
        lists = ServedLists(house.tools, house.upstreams, house.health, house.clock)
        virtuals = VirtualServing(
            house.directory, house.tools, ChildLists(lists), HeldNames(house.scoped)
        )
        virtual = VirtualTools(virtuals, house.tool_calls, house.records, house.clock)
        targets = CallTargets(house.directory, house.tools, house.tool_calls, virtual)
        delivering = Delivering(
            house.directory, targets, seals, open_session(rules),
            open_session(rules, stranger=True), house.clock,
        )  # fmt: skip
        fan_out = FanOut(lambda: house.directory.latest.subscriptions)
        house.events.deliver_by(fan_out.deliveries)
        quota = Quota(rate, house.clock.monotonic)
        room = Room(1, lambda: made.free, house.clock.monotonic)
        intake = Intake(house.scoped)
        publishing = Publishing(intake, house.events, fan_out, quota, room, house.clock)

        async def pause(subscription: str, reason: str) -> None:
            await made.subscriptions.stop(subscription, reason)

        dead = DeadLetters(
            house.scoped, house.events, lambda: house.directory.latest.subscriptions, house.clock
        )
        queue = Queue(house.scoped, house.clock, owner, dead.of_attempts)
        held_back = HeldBack(
            house.scoped, house.events, lambda: house.directory.latest.subscriptions
        )
        dispatcher = Dispatcher(
            queue, delivering.subscribers, delivering.deliver, pause, house.clock, held_back.tell
        )
        dispatcher._jitter = lambda: 0.5
        subscriptions = Subscriptions(
            house.scoped, house.directory, house.events, publishing, targets, seals, rules,
            dispatcher.is_held_back, house.clock,
        )  # fmt: skip
        deliveries = Deliveries(
            house.scoped, house.directory, house.events, dispatcher, house.clock
        )
        made = cls(
            house, publishing, subscriptions, deliveries, dispatcher, delivering, dead, lists
        )
        return made

    async def publish(self, kind: str, data: bytes = b"null", **more: Any) -> Published:
        """An event of the socket's owner."""
        from msgspec import Raw

        asked = EventPublish(type=kind, data=Raw(data), **more)
        return await self.publishing.publish_as(self.house.owner, asked)

    async def turn(self) -> None:
        """Try what is due, once, and wait until it is written."""
        await self.house.directory.refresh()
        await self.dispatcher.pump()
        while self.dispatcher.under_way:
            self.dispatcher._wakes.clear()
            if self.dispatcher.under_way:
                await self.dispatcher._wakes.wait()
        await asyncio.gather(*self.dispatcher._tasks._tasks)

    async def rows(self, **asked: Any) -> list[Any]:
        """Deliveries, newest first."""
        return await self.deliveries.all(self.house.owner, DeliveryList(**asked))

"""Handing events over: who may, to which tool or URL, and what the answer means for the bus."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from meshd.bus import signing
from meshd.bus.dispatcher import Subscriber
from meshd.bus.queue import Claim
from meshd.bus.retry import Outcome
from meshd.bus.template import BadTemplate, render
from meshd.core.clock import MICROSECONDS, Clock
from meshd.proxy import webhook
from meshd.proxy.http_pool import HttpPool
from meshd.services.answered import events_answer, http_outcome, tool_error
from meshd.services.call_targets import CallTargets
from meshd.services.cloud_event import cloud_event
from meshd.services.directory import Directory
from meshd.services.makers import check_maker_afresh, key_gone
from meshd.services.principal import Principal
from meshd.services.subscription_rows import SubscriptionRow
from meshd.services.webhook_seals import WebhookSeals
from meshd.vault.errors import VaultError
from meshd.wire.calls.subscription import ADD_WEBHOOK
from meshd.wire.errors import Denied, MeshError, NotFound, Unauthenticated
from meshd.wire.tool import ToolCall

CLIENT = "event bus"
ON_EVENTS = "ON_EVENTS"


class Delivering:
    """Tries deliveries, each under its subscription's own scope."""

    def __init__(
        self,
        directory: Directory,
        targets: CallTargets,
        seals: WebhookSeals,
        trusted: HttpPool,
        public: HttpPool,
        clock: Clock,
    ) -> None:
        """`trusted` reaches what operators named, `public` what anybody else did."""
        self._directory = directory
        self._targets = targets
        self._seals = seals
        self._trusted = trusted
        self._public = public
        self._clock = clock

    def subscribers(self) -> Mapping[str, Subscriber]:
        """Who is delivered to now. Raises Unavailable while nothing can be decided."""
        return {
            row.id: Subscriber(row.id, row.org, batches=row.kind == "connection")
            for row in self._directory.view.subscriptions.values()
            if row.active
        }

    async def deliver(self, claims: Sequence[Claim]) -> Sequence[Outcome]:
        """Try deliveries of one subscription."""
        row = self._directory.view.subscriptions.get(claims[0].subscription)
        if row is None:
            return [Outcome("hopeless", "the subscription is gone")] * len(claims)
        if row.kind == "webhook":
            return [await self._send(row, claim) for claim in claims]
        try:
            if row.kind == "connection":
                return await self._hand_over(row, claims)
            return [await self._call(row, claim) for claim in claims]
        except (Denied, NotFound, Unauthenticated) as error:
            return [Outcome("refused", error.message)] * len(claims)
        except MeshError as error:
            return [Outcome("failed", error.message)] * len(claims)

    async def _hand_over(self, row: SubscriptionRow, claims: Sequence[Claim]) -> Sequence[Outcome]:
        events = [cloud_event(claim.event) for claim in claims]
        arguments = msgspec.json.encode({"events": events})
        result = await self._ask(row, ON_EVENTS, arguments)
        return events_answer(result, [event["id"] for event in events])

    async def _call(self, row: SubscriptionRow, claim: Claim) -> Outcome:
        try:
            filled = render(row.target.get("arguments", {}), cloud_event(claim.event))
        except BadTemplate as error:
            return Outcome("hopeless", str(error))
        result = await self._ask(row, row.target["tool"], msgspec.json.encode(filled))
        why = tool_error(result)
        return Outcome("delivered") if why is None else Outcome("failed", why)

    async def _ask(self, row: SubscriptionRow, tool: str, arguments: bytes) -> Any:
        """The result of a tool that both the subscription and its maker of now may call.

        Raises:
            Unauthenticated: the key that made it was revoked or has expired.
            Denied, NotFound and the like: it may not be called, or there was no answer.
        """
        maker = row.maker
        if (why := maker_gone(self._directory, maker)) is not None:
            raise Unauthenticated(why)
        asked = ToolCall(connection=row.target["connection"], tool=tool, arguments=Raw(arguments))
        answer = await self._targets.call(maker, asked, client=CLIENT)
        return msgspec.json.decode(bytes(answer.result))

    async def _send(self, row: SubscriptionRow, claim: Claim) -> Outcome:
        maker = row.maker
        if (why := maker_gone(self._directory, maker)) is not None:
            return Outcome("refused", why)
        try:
            await check_maker_afresh(self._directory, maker, ADD_WEBHOOK)
        except Denied as error:
            return Outcome("refused", error.message)
        body = msgspec.json.encode(cloud_event(claim.event))
        try:
            url, secrets = self._seals.url(row), self._seals.secrets(row, self._clock.now())
        except VaultError as error:
            return Outcome("failed", str(error))
        seconds = self._clock.now() // MICROSECONDS
        headers = {
            **signing.headers(secrets, claim.id, seconds, body),
            "Meshctl-Attempt": str(claim.attempt),
            "Meshctl-Fence": str(claim.fence),
        }
        pool = self._trusted if maker.instance_admin else self._public
        try:
            answer = await webhook.post(pool, url, row.target["webhook"], headers, body)
        except MeshError as error:
            return Outcome("failed", error.message)
        return http_outcome(answer.status, answer.retry_after, self._clock.now())


def maker_gone(directory: Directory, maker: Principal) -> str | None:
    """Why a subscription of this maker pauses; None where it has one still."""
    why = key_gone(directory, maker)
    return None if why is None else f"owner gone: {why}"

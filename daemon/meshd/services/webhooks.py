"""Inbound webhooks: their rules, and taking what comes in as who made them."""

from collections.abc import Callable, Mapping
from math import ceil

from msgspec import Raw

from meshd.bus.hook_signatures import (
    BadSecret,
    BadSignature,
    Sent,
    Signature,
    check_secret,
    verify,
)
from meshd.core.clock import MICROSECONDS, Clock, iso, iso_or_none, seconds
from meshd.core.secret import Secret
from meshd.services.access import decide_call
from meshd.services.cloud_event import check_event
from meshd.services.directory import Directory
from meshd.services.events import Events
from meshd.services.limits import check_limit
from meshd.services.lookup import unknown
from meshd.services.makers import check_goes_on, check_maker_afresh, check_taker
from meshd.services.own_only import check_own
from meshd.services.principal import Principal, the_daemon
from meshd.services.publishing import Publishing
from meshd.services.rate_limit import Bucket
from meshd.services.refusals import denied_call
from meshd.services.subscription_rows import stored_maker
from meshd.services.webhook_rows import WebhookRow
from meshd.services.webhook_seals import WebhookSeals
from meshd.store.db import ExpectFailed, Step, UniqueViolation
from meshd.store.scoped import ScopedDatabase
from meshd.vault.errors import VaultError
from meshd.wire.calls.event import PUBLISH
from meshd.wire.connection import Removed
from meshd.wire.errors import (
    BadRequest,
    Conflict,
    Denied,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from meshd.wire.event import EventPublish, Published
from meshd.wire.ids import new_id
from meshd.wire.names import check_name
from meshd.wire.webhook import Webhook, WebhookEdit, WebhookList, WebhookNew, WebhookRotate

TABLE = "webhooks"
PATH = "/hooks/"
MAX_OF_AN_ORG = 200
MAX_KEEP = 30 * 24 * 3600
"""Seconds that a secret counts at most beside the one that replaced it."""
PER_MINUTE = 6000
"""Requests of one webhook that are signed; a minute's worth may come at once."""


class Webhooks:
    """The rules of inbound webhooks."""

    def __init__(
        self,
        db: ScopedDatabase,
        directory: Directory,
        events: Events,
        publishing: Publishing,
        seals: WebhookSeals,
        base_url: Callable[[], str],
        clock: Clock,
    ) -> None:
        self._db = db
        self._directory = directory
        self._events = events
        self._publishing = publishing
        self._seals = seals
        self._base_url = base_url
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def all(self, who: Principal, asked: WebhookList) -> list[Webhook]:
        """Those of the org, newest first. Raises BadRequest."""
        check_limit(asked.limit)
        return [self._wire(row) for row in self._of(who.org)][: asked.limit]

    def show(self, who: Principal, name: str) -> Webhook:
        """One, by name or id. Raises NotFound."""
        return self._wire(self._find(who, name))

    async def add(self, who: Principal, asked: WebhookNew) -> Webhook:
        """Take a sender's events from now on, and publish them as the maker.

        Raises:
            BadRequest: the name, the type or the secret is not valid.
            Denied: the maker may not publish.
            Conflict: the name is taken, or there are too many.
        """
        name, made = check_name(asked.name, "webhook"), new_id("hook")
        decision = decide_call(who, PUBLISH)
        if not decision:
            raise denied_call(who, PUBLISH, decision)
        check_event(EventPublish(type=asked.type or name))
        secret = _secret(asked.signature, asked.signing)
        row = {
            "id": made, "name": name, "signature": asked.signature, "type": asked.type,
            "secret": await self._seals.seal(who.org, made, "secret", secret, TABLE),
            "maker": stored_maker(who), "owner_id": who.owner, "now": self._clock.now(),
        }  # fmt: skip
        async with self._directory.changing():
            if len(self._of(who.org)) >= MAX_OF_AN_ORG:
                raise Conflict(f"an org has at most {MAX_OF_AN_ORG} webhooks")
            try:
                await self._write(who, "added", made, name, Step("webhook.add", row))
            except UniqueViolation:
                raise Conflict(
                    f'a webhook "{name}" exists already', next=f"meshctl webhook show {name}"
                ) from None
        return self.show(who, made)

    async def pause(self, who: Principal, name: str) -> Webhook:
        """Answer as if it were not there. Raises as `remove`."""
        return await self._turn(who, self._own(who, name), "paused", f"by {who.name}")

    async def resume(self, who: Principal, name: str) -> Webhook:
        """Take events again.

        Raises as `remove`, and Conflict where its maker may not publish any more.
        """
        row = self._own(who, name)
        edit = f"meshctl webhook edit {row.name}"
        await check_goes_on(self._directory, row.maker, PUBLISH, edit)
        return await self._turn(who, row, "active", None)

    async def edit(self, who: Principal, asked: WebhookEdit) -> Webhook:
        """Give it another owner, who can only be whoever asks; it takes events again.

        Raises:
            NotFound: there is none.
            Denied: it is for somebody else, or the one who asks may not publish, or as `remove`.
        """
        async with self._directory.changing():
            row = self._own(who, asked.webhook)
            check_taker(self._directory, who, asked.owner, PUBLISH)
            taken = {"id": row.id, "maker": stored_maker(who), "owner_id": who.owner}
            step = Step("webhook.take_over", taken, expect=1)
            await self._write(who, "edited", row.id, row.name, step)
        return self.show(who, row.id)

    async def rotate(self, who: Principal, asked: WebhookRotate) -> Webhook:
        """Another secret; the one before counts for a while. Raises as `add` and `remove`."""
        keep = seconds(asked.keep)
        if keep > MAX_KEEP:
            raise BadRequest(f"the old secret counts for at most {MAX_KEEP // 86400} days")
        async with self._directory.changing():
            row = self._own(who, asked.webhook)
            secret = _secret(row.signature, asked.signing)
            before = self._seals.opened(row.org, row.id, "secret", row.secret, TABLE)
            turned = {
                "id": row.id, "edition": row.edition,
                "secret": await self._seals.seal(row.org, row.id, "secret", secret, TABLE),
                "secret_before": await self._seals.seal(
                    row.org, row.id, "secret_before", before, TABLE
                ),
                "before_until": self._clock.now() + keep * MICROSECONDS,
            }  # fmt: skip
            await self._write(
                who, "rotated", row.id, row.name, Step("webhook.rotate", turned, expect=1)
            )
        return self.show(who, row.id)

    async def remove(self, who: Principal, name: str) -> Removed:
        """Remove one; what came in is delivered all the same.

        Raises:
            NotFound: there is none.
            Denied: a key that speaks for a connection asks, and no key of that one made it.
        """
        async with self._directory.changing():
            row = self._own(who, name)
            step = Step("webhook.remove", {"id": row.id}, expect=1)
            await self._write(who, "removed", row.id, row.name, step)
        return Removed(id=row.id, name=row.name)

    def active(self, name: str) -> WebhookRow:
        """The webhook of an id that somebody asks for, whoever it is.

        Raises:
            NotFound: there is none, or it is paused.
        """
        row = self._directory.view.webhooks.get(name)
        if row is None or row.state != "active":
            raise NotFound("nothing is here")
        return row

    def verify(self, row: WebhookRow, headers: Mapping[str, str], body: bytes) -> None:
        """Pass a body that its sender signed, and count it: what others send counts for nothing.

        Raises:
            Unauthenticated: it did not.
            RateLimited: it sent too much.
            Unavailable: the secret does not open.
        """
        now = self._clock.now()
        try:
            secrets = [self._seals.opened(row.org, row.id, "secret", row.secret, TABLE)]
            if row.secret_before is not None and now < (row.before_until or 0):
                old = row.secret_before
                secrets.append(self._seals.opened(row.org, row.id, "secret_before", old, TABLE))
            verify(row.signature, secrets, headers, body, now // MICROSECONDS)
        except BadSignature as error:
            raise Unauthenticated(str(error)) from None
        except VaultError:
            raise Unavailable("the webhook cannot be verified") from None
        moment = self._clock.monotonic()
        wait = self._bucket(row, moment).take(moment, PER_MINUTE)
        if wait:
            raise RateLimited("too much came in here", facts={"retry_after_s": str(ceil(wait))})

    def _bucket(self, row: WebhookRow, moment: float) -> Bucket:
        """That of a webhook; where it is a new one, those of webhooks that are gone go, too."""
        found = self._buckets.get(row.id)
        if found is None:
            there = self._directory.view.webhooks
            self._buckets = {key: one for key, one in self._buckets.items() if key in there}
            found = self._buckets[row.id] = Bucket(PER_MINUTE, moment)
        return found

    async def take(self, row: WebhookRow, sent: Sent, media: str | None, data: Raw) -> Published:
        """Publish what came in as the maker; said twice by the sender it is published once.

        Raises:
            NotFound: the maker may not publish any more, and so the webhook is paused.
            BadRequest, TooLarge: it makes no event.
            RateLimited: the org publishes too much.
        """
        try:
            await check_maker_afresh(self._directory, row.maker, PUBLISH)
        except Denied as error:
            await self._turn(the_daemon(row.org), row, "paused", error.message)
            raise NotFound("nothing is here") from None
        named = f"{row.name}.{sent.event}" if sent.event else row.name
        asked = EventPublish(
            type=row.type or named, source=row.source, id=sent.id, data=data,
            datacontenttype=media,
        )  # fmt: skip
        try:
            return await self._publishing.publish_as(row.maker, asked)
        except Conflict:  # the sender says the same again in other words; what came first holds
            return Published(
                id=sent.id, type=asked.type, source=row.source, time=iso(self._clock.now()),
                deliveries=0, duplicate=True,
            )  # fmt: skip

    def _of(self, org: str) -> list[WebhookRow]:
        return [row for row in self._directory.view.webhooks.values() if row.org == org]

    def _find(self, who: Principal, name: str) -> WebhookRow:
        mine = {row.name: row for row in self._of(who.org)}
        row = self._directory.view.webhooks.get(name) or mine.get(name.casefold())
        if row is None or row.org != who.org:
            raise unknown("webhook", name, mine)
        return row

    def _own(self, who: Principal, name: str) -> WebhookRow:
        row = self._find(who, name)
        check_own(who, row.maker, "webhook")
        return row

    async def _turn(
        self, who: Principal, row: WebhookRow, state: str, reason: str | None
    ) -> Webhook:
        if row.state != state:
            kind = "paused" if state == "paused" else "resumed"
            about = {} if reason is None else {"reason": reason}
            turn = Step("webhook.turn", {"id": row.id, "state": state, "reason": reason})
            await self._write(who, kind, row.id, row.name, turn, **about)
        return self.show(who, row.id)

    async def _write(
        self, who: Principal, kind: str, made: str, name: str, step: Step, **more: str
    ) -> None:
        about = {"name": name, **more}
        try:
            await self._db.org(who.org).write(
                step,
                Step("revision.bump", {"topic": "webhooks"}),
                self._events.step(who, f"webhook.{kind}", made, about),
            )
        except ExpectFailed:
            raise Conflict("the webhook changed meanwhile", next="meshctl webhook list") from None
        await self._directory.refresh()
        self._events.bell.ring()

    def _wire(self, row: WebhookRow) -> Webhook:
        old = row.before_until
        return Webhook(
            id=row.id, name=row.name, state=row.state, reason=row.reason,
            signature=row.signature, type=row.type, url=f"{self._base_url()}{PATH}{row.id}",
            source=row.source,
            old_secret_until=iso_or_none(old if old and old > self._clock.now() else None),
            maker=row.maker.name, owner=row.maker.owner, created_at=iso(row.created_at),
        )  # fmt: skip


def _secret(kind: Signature, text: str) -> Secret:
    secret = Secret(text.strip())
    try:
        check_secret(kind, secret)
    except BadSecret as error:
        raise BadRequest(
            f"this is no secret that {kind} signs with", facts={"secrets are": str(error)}
        ) from None
    return secret

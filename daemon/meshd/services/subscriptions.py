"""Subscriptions: making, showing, pausing and removing them. Who is delivered to is the bus's."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Raw, structs

from meshd.bus import signing
from meshd.bus.match import BadFilter, read_filters
from meshd.bus.template import BadTemplate, check_template
from meshd.core.clock import Clock, iso
from meshd.core.secret import Secret
from meshd.proxy.http_head import RequestHead
from meshd.proxy.outbound import OutboundRules
from meshd.services.access import decide
from meshd.services.credentials import shown_url
from meshd.services.delivering import ON_EVENTS
from meshd.services.directory import Directory
from meshd.services.events import Events
from meshd.services.lookup import find_connection, find_key, find_subscription
from meshd.services.principal import Principal, the_daemon
from meshd.services.publishing import Publishing
from meshd.services.refusals import denied
from meshd.services.subscription_rows import SubscriptionRow, stored_maker
from meshd.services.webhook_seals import WebhookSeals
from meshd.store.db import Step, UniqueViolation
from meshd.store.scoped import ScopedDatabase
from meshd.wire.connection import Removed
from meshd.wire.errors import BadRequest, Conflict, NotFound
from meshd.wire.event import Published
from meshd.wire.ids import new_id
from meshd.wire.names import check_name
from meshd.wire.subscription import (
    Subscription,
    SubscriptionAdd,
    SubscriptionAdded,
    Target,
    WebhookAdd,
)

MAX_OF_AN_ORG = 1000
MAX_TYPES = 50
MAX_TEXT = 255
MAX_TEMPLATE = 64 * 1024
MAX_URL = 2000


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a subscription is to be, checked: its columns but for what all have."""

    kind: str
    target: Mapping[str, Any]
    url: Secret | None = None
    secret: Secret | None = None


class Subscriptions:
    """The rules of subscriptions."""

    def __init__(
        self,
        db: ScopedDatabase,
        directory: Directory,
        events: Events,
        publishing: Publishing,
        seals: WebhookSeals,
        rules: OutboundRules,
        is_held_back: Callable[[str], bool],
        clock: Clock,
    ) -> None:
        self._db = db
        self._directory = directory
        self._events = events
        self._publishing = publishing
        self._seals = seals
        self._rules = rules
        self._is_held_back = is_held_back
        self._clock = clock

    def all(self, who: Principal) -> list[Subscription]:
        """Those of the org, by name."""
        rows = self._directory.view.subscriptions.values()
        return [self._wire(row) for row in rows if row.org == who.org]

    def show(self, who: Principal, name: str) -> Subscription:
        """One, by name or id. Raises NotFound."""
        return self._wire(self._find(who, name))

    async def add(self, who: Principal, asked: SubscriptionAdd) -> Subscription:
        """Hand events to a tool that the maker may call.

        Raises:
            BadRequest: a pattern, filter, template or name is not valid.
            NotFound: there is no such connection, or publisher.
            Denied: the maker may not call the tool.
            Conflict: the name is taken, or there are too many.
        """
        row = find_connection(self._directory.view, who.org, asked.connection)
        tool = asked.tool or ON_EVENTS
        decision = decide(who, row.id, "tool", tool, reads_only=lambda: True)
        if not decision:
            raise denied(who, row, decision)
        if asked.tool is None:
            if bytes(asked.arguments) != b"null":
                raise BadRequest("arguments need a tool", facts={"as in": "CONNECTION/TOOL"})
            return await self._add(who, asked, _Wish("connection", {"connection": row.id}))
        template = _template(asked.arguments)
        target = {"connection": row.id, "tool": asked.tool, "arguments": template}
        return await self._add(who, asked, _Wish("call", target))

    async def add_webhook(self, who: Principal, asked: WebhookAdd) -> SubscriptionAdded:
        """Send events to a URL. Raises as `add`."""
        if len(asked.webhook) > MAX_URL:
            raise BadRequest(f"the webhook is over {MAX_URL} characters")
        try:
            RequestHead(asked.webhook, {})
        except ValueError as error:
            raise BadRequest(
                "the webhook is no http or https URL", facts={"why": str(error)}
            ) from None
        self._rules.check(urlsplit(asked.webhook).hostname or "")
        shown, secret = shown_url(asked.webhook)[0], signing.new_secret()
        wish = _Wish("webhook", {"webhook": shown}, Secret(asked.webhook), secret)
        made = await self._add(who, asked, wish)
        return SubscriptionAdded(secret=secret.reveal(), **structs.asdict(made))

    async def pause(self, who: Principal, name: str) -> Subscription:
        """Hold back deliveries, and hear nothing new. Raises NotFound."""
        return await self._turn(who, self._find(who, name), "paused", f"by {who.name}")

    async def resume(self, who: Principal, name: str) -> Subscription:
        """Deliver what was held back, and hear again. Raises NotFound."""
        return await self._turn(who, self._find(who, name), "active", None)

    async def stop(self, subscription: str, reason: str) -> None:
        """Pause one that cannot go on, on the daemon's own behalf."""
        row = self._directory.view.subscriptions.get(subscription)
        if row is not None:
            await self._turn(the_daemon(row.org), row, "paused", reason)

    async def remove(self, who: Principal, name: str) -> Removed:
        """Remove one; what waits for it is cancelled. Raises NotFound."""
        async with self._directory.changing():
            row = self._find(who, name)
            await self._db.org(row.org).write(
                Step("subscription.remove", {"id": row.id}, expect=1),
                Step("delivery.cancel_of", {"subscription": row.id, "now": self._clock.now()}),
                Step("revision.bump", {"topic": "subscriptions"}),
                self._event(who, "removed", row.id, row.name),
            )
            await self._directory.refresh()
        self._events.bell.ring()
        return Removed(id=row.id, name=row.name)

    async def test(self, who: Principal, name: str) -> Published:
        """Send it one event. Raises NotFound, and Conflict where it is paused."""
        row = self._find(who, name)
        if not row.active:
            raise Conflict(
                f'subscription "{row.name}" is paused',
                next=f"meshctl subscription resume {row.name}",
            )
        return await self._publishing.send_test(who, row.id)

    async def _add(
        self, who: Principal, asked: SubscriptionAdd | WebhookAdd, wish: _Wish
    ) -> Subscription:
        made = new_id("sub")
        name = check_name(asked.name or f"sub-{made[-8:]}", "subscription")
        row = {
            "id": made,
            "name": name,
            "types": json.dumps(_types(asked.types)),
            "publisher": self._source(who, asked.publisher),
            "filter": _filters(asked.filter),
            "kind": wish.kind,
            "target": json.dumps(wish.target),
            "url": await self._sealed(who.org, made, "url", wish.url),
            "secret": await self._sealed(who.org, made, "secret", wish.secret),
            "maker": stored_maker(who),
            "owner_id": who.owner,
            "now": self._clock.now(),
        }
        async with self._directory.changing():
            if len(self.all(who)) >= MAX_OF_AN_ORG:
                raise Conflict(f"an org has at most {MAX_OF_AN_ORG} subscriptions")
            try:
                await self._db.org(who.org).write(
                    Step("subscription.add", row),
                    Step("revision.bump", {"topic": "subscriptions"}),
                    self._event(who, "added", made, name),
                )
            except UniqueViolation:
                raise Conflict(
                    f'a subscription "{name}" exists already',
                    next=f"meshctl subscription show {name}",
                ) from None
            await self._directory.refresh()
        self._events.bell.ring()
        return self.show(who, made)

    async def _turn(
        self, who: Principal, row: SubscriptionRow, state: str, reason: str | None
    ) -> Subscription:
        if row.state != state:
            kind = "paused" if state == "paused" else "resumed"
            about = {} if reason is None else {"reason": reason}
            turn = {"id": row.id, "state": state, "reason": reason}
            await self._db.org(row.org).write(
                Step("subscription.turn", turn),
                Step("revision.bump", {"topic": "subscriptions"}),
                self._event(who, kind, row.id, row.name, **about),
            )
            await self._directory.refresh()
            self._events.bell.ring()
        return self.show(who, row.id)

    async def _sealed(self, org: str, made: str, field: str, value: Secret | None) -> bytes | None:
        return None if value is None else await self._seals.seal(org, made, field, value)

    def _event(self, who: Principal, kind: str, made: str, name: str, **more: str) -> Step:
        return self._events.step(who, f"subscription.{kind}", made, {"name": name, **more})

    def _find(self, who: Principal, name: str) -> SubscriptionRow:
        return find_subscription(self._directory.view, who.org, name)

    def _source(self, who: Principal, publisher: str | None) -> str | None:
        """The source of a publisher: what is a source already, a key, or a connection."""
        if publisher is None or "/" in publisher or ":" in publisher:
            return publisher
        view = self._directory.view
        try:
            return f"/keys/{find_key(view, who.org, publisher).principal.id}"
        except NotFound:
            return f"/connections/{find_connection(view, who.org, publisher).id}"

    def _wire(self, row: SubscriptionRow) -> Subscription:
        connection = row.target.get("connection")
        known = self._directory.view.connections.get(connection or "")
        arguments = row.target.get("arguments")
        return Subscription(
            id=row.id, name=row.name, state=row.state, reason=row.reason, types=list(row.types),
            publisher=row.publisher, filter=Raw(row.filter.encode()) if row.filter else None,
            target=Target(
                connection=known.name if known else connection,
                tool=row.target.get("tool", ON_EVENTS if row.kind == "connection" else None),
                arguments=None if arguments is None else Raw(msgspec.json.encode(arguments)),
                webhook=row.target.get("webhook"),
            ),
            maker=row.maker.name, owner=row.maker.owner,
            held_back=self._is_held_back(row.id), created_at=iso(row.created_at),
        )  # fmt: skip


def _types(patterns: Sequence[str]) -> list[str]:
    valid = all(0 < len(one) <= MAX_TEXT and one.isprintable() for one in patterns)
    if not 0 < len(patterns) <= MAX_TYPES or not valid:
        raise BadRequest(
            "say which types of events",
            facts={"types are": f"1 to {MAX_TYPES} of 1 to {MAX_TEXT} characters; * is any run"},
        )
    return list(dict.fromkeys(patterns))


def _filters(texts: Sequence[str]) -> str | None:
    """CloudEvents filters as JSON; `attribute=value` is short for the simple ones."""
    filters: list[Any] = []
    for text in texts:
        if text.lstrip().startswith(("{", "[")):
            try:
                given = msgspec.json.decode(text)
            except (msgspec.DecodeError, RecursionError):
                raise BadRequest("the filter is no JSON") from None
            filters += given if isinstance(given, list) else [given]
            continue
        name, equals, value = text.partition("=")
        if not equals or "*" in value[1:-1]:
            raise BadRequest(
                f'"{ascii(text[:60])[1:-1]}" is not a filter',
                facts={"filters are": "JSON, or attribute=value with a * at one end"},
            )
        if value.endswith("*"):
            filters.append({"prefix": {name: value[:-1]}})
        elif value.startswith("*"):
            filters.append({"suffix": {name: value[1:]}})
        else:
            filters.append({"exact": {name: value}})
    try:
        read_filters(filters)
    except BadFilter as error:
        raise BadRequest(f"the filter is not valid: {error}") from None
    return json.dumps(filters) if filters else None


def _template(arguments: Raw) -> Any:
    raw = bytes(arguments)
    if len(raw) > MAX_TEMPLATE:
        raise BadRequest(f"the arguments are over {MAX_TEMPLATE >> 10} KiB")
    try:
        template = {} if raw == b"null" else msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("the arguments are not valid JSON") from None
    if not isinstance(template, dict):
        raise BadRequest("the arguments of a tool are a JSON object")
    try:
        check_template(template)
    except BadTemplate as error:
        raise BadRequest(f"the arguments are no template: {error}") from None
    return template

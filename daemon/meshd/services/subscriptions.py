"""Subscriptions: making, showing, pausing and removing them. Who is delivered to is the bus's."""

import logging
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

import msgspec
from msgspec import Raw, structs

from meshd.bus import signing
from meshd.core.clock import Clock, instant, iso, iso_or_none
from meshd.core.secret import Secret
from meshd.proxy.outbound import OutboundRules
from meshd.services.call_targets import CallTargets
from meshd.services.credentials import shown_url
from meshd.services.cron_subscriptions import CronSubscriptions
from meshd.services.delivering import ON_EVENTS, maker_gone
from meshd.services.directory import Directory
from meshd.services.events import Events
from meshd.services.lookup import find_connection, find_key, find_subscription
from meshd.services.makers import check_maker
from meshd.services.own_only import check_own
from meshd.services.principal import Principal, the_daemon
from meshd.services.publishing import Publishing, connection_source
from meshd.services.subscription_rows import SubscriptionRow
from meshd.services.subscription_steps import SubscriptionSteps
from meshd.services.subscription_wishes import (
    check_webhook,
    read_filter,
    read_order,
    read_template,
    read_types,
)
from meshd.services.syncing import Wanted, as_wanted, compare
from meshd.services.webhook_seals import WebhookSeals
from meshd.store.db import ExpectFailed, Step, StoreError, UniqueViolation
from meshd.store.scoped import ScopedDatabase
from meshd.vault.errors import VaultError
from meshd.wire.calls.subscription import ADD_WEBHOOK
from meshd.wire.connection import Removed
from meshd.wire.errors import BadRequest, Conflict, Denied, MeshError, NotFound, Unavailable
from meshd.wire.event import Published
from meshd.wire.ids import new_id
from meshd.wire.names import check_name
from meshd.wire.subscription import (
    SecretRotate,
    Subscription,
    SubscriptionAdd,
    SubscriptionAdded,
    SubscriptionEdit,
    SubscriptionRemove,
    SubscriptionSync,
    Synced,
    Target,
    WebhookAdd,
    Wish,
)

log = logging.getLogger(__name__)

MAX_OF_AN_ORG = 1000
OWNERS = 60.0
"""Seconds after which is looked for makers whose time has run out."""


class Subscriptions:
    """The rules of subscriptions."""

    def __init__(
        self,
        db: ScopedDatabase,
        directory: Directory,
        events: Events,
        publishing: Publishing,
        targets: CallTargets,
        seals: WebhookSeals,
        rules: OutboundRules,
        is_held_back: Callable[[str], bool],
        clock: Clock,
    ) -> None:
        self._db = db
        self._directory = directory
        self._events = events
        self._publishing = publishing
        self._targets = targets
        self._seals = seals
        self._rules = rules
        self._is_held_back = is_held_back
        self._clock = clock
        self._steps = SubscriptionSteps(events, clock)
        self._crons = CronSubscriptions(db, events)

    def all(self, who: Principal) -> list[Subscription]:
        """Those of the org, by name."""
        return [self._wire(row) for row in self._rows(who)]

    def show(self, who: Principal, name: str) -> Subscription:
        """One, by name or id. Raises NotFound."""
        return self._wire(self._find(who, name))

    async def add(self, who: Principal, asked: SubscriptionAdd) -> Subscription:
        """Hand events to a tool that the maker may call.

        Raises:
            BadRequest: a pattern, filter, template, order or name is not valid.
            NotFound: there is no such connection, or publisher.
            Denied: the maker may not call the tool.
            Conflict: the name is taken, or there are too many.
        """
        view = self._directory.view
        if asked.tool is None:
            connection = find_connection(view, who.org, asked.connection).id
        else:
            connection = self._targets.find(who, asked.connection)
        await self._targets.check(who, connection, asked.tool or ON_EVENTS)
        want = self._wanted(who, asked)
        if asked.tool is None:
            if bytes(asked.arguments) != b"null":
                raise BadRequest("arguments need a tool", facts={"as in": "CONNECTION/TOOL"})
            for row in self._own(who, connection) if asked.once else ():
                if as_wanted(row) == want and row.active and row.maker.id == who.id:
                    return self._wire(row)
            target, kind = {"connection": connection}, "connection"
        else:
            template = read_template(asked.arguments)
            target = {"connection": connection, "tool": asked.tool, "arguments": template}
            kind = "call"
        made, name = _named(asked.name)
        ordered_by = read_order(asked.ordered_by)
        return await self._add(
            who, made, name,
            self._steps.add(who, made, name, want, target, kind=kind, ordered_by=ordered_by),
        )  # fmt: skip

    async def add_webhook(self, who: Principal, asked: WebhookAdd) -> SubscriptionAdded:
        """Send events to a URL. Raises as `add`."""
        check_webhook(asked.webhook)
        self._rules.check(urlsplit(asked.webhook).hostname or "")
        want, ordered_by = self._wanted(who, asked), read_order(asked.ordered_by)
        secret = signing.new_secret()
        made, name = _named(asked.name)
        target = {"webhook": shown_url(asked.webhook)[0]}
        steps = self._steps.add(
            who, made, name, want, target, kind="webhook", ordered_by=ordered_by,
            url=await self._seals.seal(who.org, made, "url", Secret(asked.webhook)),
            secret=await self._seals.seal(who.org, made, "secret", secret),
        )  # fmt: skip
        shown = await self._add(who, made, name, steps)
        return SubscriptionAdded(secret=secret.reveal(), **structs.asdict(shown))

    async def pause(self, who: Principal, name: str) -> Subscription:
        """Hold back deliveries, and hear nothing new. Raises NotFound, and Denied as `remove`."""
        return await self._turn(who, self._own_to_change(who, name), "paused", f"by {who.name}")

    async def resume(self, who: Principal, name: str) -> Subscription:
        """Deliver what was held back, and hear again. Raises as `pause`; Conflict: owner gone."""
        row = self._own_to_change(who, name)
        if (why := maker_gone(self._directory, row.maker)) is not None:
            raise Conflict(
                f"the subscription has nobody to run as: {why}",
                next=f"meshctl subscription edit {row.name} --owner me",
            )
        return await self._turn(who, row, "active", None)

    async def stop(self, subscription: str, reason: str) -> None:
        """Pause one that cannot go on, on the daemon's own behalf."""
        row = self._directory.view.subscriptions.get(subscription)
        if row is not None and row.active:
            await self._turn(the_daemon(row.org), row, "paused", reason)

    async def follow_owners(self) -> None:
        """Pause what is left without its maker, for ever: a key that is revoked or has expired."""
        while True:
            heard = self._directory.news.rung
            await self.stop_ownerless()
            await self._directory.news.wait(OWNERS, heard)

    async def stop_ownerless(self) -> None:
        """Pause what is without its maker now."""
        for row in list(self._directory.latest.subscriptions.values()):
            try:
                why = maker_gone(self._directory, row.maker)
                if row.active and why is not None:
                    await self.stop(row.id, why)
            except (StoreError, MeshError) as error:
                log.warning("%s could not be paused: %s", row.id, error)

    async def edit(self, who: Principal, asked: SubscriptionEdit) -> Subscription:
        """Give it another owner, who can only be whoever asks; it hears again.

        Raises:
            NotFound: there is none. Denied: it is for somebody else, who alone can take it, or the
            one who asks may not call its tool or make webhooks.
        """
        if asked.owner not in {"me", who.owner}:
            raise Denied("a subscription is taken over by its new owner alone", facts={"say": "me"})
        row = self._own_to_change(who, asked.subscription)
        if row.kind != "webhook":  # what it calls stays, and a child may have to be asked for it
            tool = row.target.get("tool", ON_EVENTS)
            await self._targets.check(who, row.target["connection"], tool)
        async with self._directory.changing():
            row = self._own_to_change(who, asked.subscription)
            if row.kind == "webhook":
                check_maker(self._directory, who, ADD_WEBHOOK)
                if not row.maker.instance_admin:
                    who = replace(who, instance_admin=False)  # nobody of them named the URL
            await self._write(who.org, self._steps.take_over(who, row, as_wanted(row)))
        return self.show(who, row.id)

    async def rotate_secret(self, who: Principal, asked: SecretRotate) -> SubscriptionAdded:
        """A new signing secret; the one before signs as well for a while.

        Raises:
            NotFound: there is none. BadRequest: it is no webhook. Unavailable: the vault.
        """
        until = instant(asked.keep, self._clock.now(), ahead=True)
        async with self._directory.changing():
            row = self._own_to_change(who, asked.subscription)
            if row.kind != "webhook":
                raise BadRequest("only what is sent to a URL is signed")
            new = signing.new_secret()
            try:
                old = self._seals.secret(row)
            except VaultError as error:
                raise Unavailable(str(error)) from None
            steps = self._steps.rotate(
                who, row, await self._seals.seal(row.org, row.id, "secret", new),
                await self._seals.seal(row.org, row.id, "old_secret", old), until,
            )  # fmt: skip
            await self._write(row.org, steps)
        return SubscriptionAdded(secret=new.reveal(), **structs.asdict(self.show(who, row.id)))

    async def remove(self, who: Principal, asked: SubscriptionRemove) -> Removed:
        """Remove one; what waits for it is cancelled, and a schedule that was run for it ends.

        Raises:
            NotFound: there is none.
            Denied: it is to be `mine`, or a key asks that speaks for a connection, and it was not
                made with such a key of that connection.
        """
        async with self._directory.changing():
            row = self._own_to_change(who, asked.subscription, mine=asked.mine)
            others = (one.types for one in self._like(row) if one.id != row.id)
            ended = await self._crons.ended(who, [row], others)
            await self._write(row.org, [*self._steps.remove(who, row), *ended])
        return Removed(id=row.id, name=row.name)

    async def test(self, who: Principal, name: str) -> Published:
        """Send it one event. Raises as `pause`, and Conflict where it is paused."""
        row = self._own_to_change(who, name)
        if not row.active:
            raise Conflict(
                f'subscription "{row.name}" is paused',
                next=f"meshctl subscription resume {row.name}",
            )
        return await self._publishing.send_test(who, row.id)

    async def sync(self, who: Principal, asked: SubscriptionSync) -> Synced:
        """Bring the subscriptions of a connection to what is wanted. Raises as `add`.

        With one that goes ends the schedule that the connection ran for it.
        """
        connection = find_connection(self._directory.view, who.org, asked.connection).id
        await self._targets.check(who, connection, ON_EVENTS)
        if len(asked.subscriptions) > MAX_OF_AN_ORG:
            raise _full()
        wanted = [self._wanted(who, one) for one in asked.subscriptions]
        async with self._directory.changing():
            todo = compare(self._own(who, connection), wanted, who.id)
            if len(self._rows(who)) + len(todo.create) - len(todo.delete) > MAX_OF_AN_ORG:
                raise _full()
            steps = [step for row in todo.delete for step in self._steps.remove(who, row)]
            steps += [
                step for row, want in todo.update for step in self._steps.take_over(who, row, want)
            ]
            for want in todo.create:
                made, name = _named(None)
                target = {"connection": connection}
                steps += self._steps.add(who, made, name, want, target, kind="connection")
            steps += await self._crons.ended(who, todo.delete, (one.types for one in wanted))
            if steps:
                await self._write(who.org, steps)
        now = [self._wire(row) for row in self._own(who, connection)]
        return Synced(len(todo.create), len(todo.update), len(todo.delete), len(todo.keep), now)

    async def _add(self, who: Principal, made: str, name: str, steps: list[Step]) -> Subscription:
        async with self._directory.changing():
            if len(self._rows(who)) >= MAX_OF_AN_ORG:
                raise _full()
            try:
                await self._write(who.org, steps)
            except UniqueViolation:
                raise Conflict(
                    f'a subscription "{name}" exists already',
                    next=f"meshctl subscription show {name}",
                ) from None
        return self.show(who, made)

    async def _turn(
        self, who: Principal, row: SubscriptionRow, state: str, reason: str | None
    ) -> Subscription:
        if row.state != state:
            try:
                await self._write(row.org, self._steps.turn(who, row, state, reason))
            except Conflict:
                await self._directory.refresh()  # another daemon did the same
        return self.show(who, row.id)

    async def _write(self, org: str, steps: list[Step]) -> None:
        try:
            await self._db.org(org).write(*steps)
        except ExpectFailed:
            raise Conflict("it changed meanwhile", next="meshctl subscription list") from None
        await self._directory.refresh()
        self._events.bell.ring()

    def _rows(self, who: Principal) -> list[SubscriptionRow]:
        rows = self._directory.view.subscriptions.values()
        return [row for row in rows if row.org == who.org]

    def _own(self, who: Principal, connection: str) -> list[SubscriptionRow]:
        """What hands events to a connection, and was made with its own keys as `who` is, or not."""
        return [
            row
            for row in self._rows(who)
            if row.kind == "connection"
            and row.target["connection"] == connection
            and row.maker.connection == who.connection
        ]

    def _like(self, row: SubscriptionRow) -> list[SubscriptionRow]:
        """What keys of the same connection made."""
        of = row.maker.connection
        return [one for one in self._rows(row.maker) if one.maker.connection == of]

    def _own_to_change(self, who: Principal, name: str, *, mine: bool = False) -> SubscriptionRow:
        """One that may be changed: a key that speaks for a connection acts for it alone."""
        row = self._find(who, name)
        check_own(who, row.maker, "subscription", mine=mine)
        return row

    def _find(self, who: Principal, name: str) -> SubscriptionRow:
        return find_subscription(self._directory.view, who.org, name)

    def _wanted(self, who: Principal, asked: SubscriptionAdd | WebhookAdd | Wish) -> Wanted:
        publisher = self._source(who, asked.publisher)
        return Wanted(tuple(read_types(asked.types)), publisher, read_filter(asked.filter))

    def _source(self, who: Principal, publisher: str | None) -> str | None:
        """The source of a publisher: what is a source already, a key, or a connection."""
        if publisher is None or "/" in publisher or ":" in publisher:
            return publisher
        view = self._directory.view
        try:
            return f"/keys/{find_key(view, who.org, publisher).principal.id}"
        except NotFound:
            return connection_source(find_connection(view, who.org, publisher).id)

    def _wire(self, row: SubscriptionRow) -> Subscription:
        connection = row.target.get("connection")
        view = self._directory.view
        known = view.connections.get(connection or "") or view.virtuals.get(connection or "")
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
            ordered_by=row.ordered_by,
            connection_id=connection if row.kind == "connection" else None,
            maker=row.maker.name, owner=row.maker.owner,
            held_back=self._is_held_back(row.id), created_at=iso(row.created_at),
            changed_at=iso_or_none(row.changed_at),
        )  # fmt: skip


def _named(name: str | None) -> tuple[str, str]:
    """A new id, and the name that was asked for or one made of the id."""
    made = new_id("sub")
    return made, check_name(name or f"sub-{made[-8:]}", "subscription")


def _full() -> Conflict:
    return Conflict(f"an org has at most {MAX_OF_AN_ORG} subscriptions")

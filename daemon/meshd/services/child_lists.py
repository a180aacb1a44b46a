"""What the connections behind virtual MCPs list, kept here so that no list waits for a slow one.

A list that is known is served at once and read again behind the scenes; one that was never had is
waited for, but not for long, and not again while its upstream hangs.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from msgspec import Raw

from meshd.core.clock import MICROSECONDS, Clock
from meshd.core.redact import redact_text
from meshd.core.tasks import TaskGroup
from meshd.protocol import jsonrpc
from meshd.protocol.members import UNREADABLE, members, text
from meshd.protocol.translation import code_of
from meshd.services.composing import Exposed, Thing, of_connection
from meshd.services.definitions import Definitions
from meshd.services.directory import ConnectionRow
from meshd.services.health import Health
from meshd.services.tools import LIST_DEADLINE, MAX_LIST, MAX_PAGES, Tools
from meshd.services.upstreams import Upstreams
from meshd.store.db import StoreError
from meshd.wire.errors import MeshError, UpstreamFailed, UpstreamTimeout

DEADLINE = 4.8
"""Seconds that one upstream may hold up the list of all, which is to be there within five."""
FRESH = 60.0
"""Seconds after which a list is read again when it is wanted."""
RETRY = 30.0
"""Seconds after a failure in which it is not tried again."""
TOO_OLD = 24 * 3600 * MICROSECONDS
"""The age at which the last list of an upstream that fails is not served any more."""
MAX_ENTRIES = 10_000
"""Entries of one list that are kept."""

BAD = frozenset({"failing", "needs_login"})
"""States in which what was listed last may be no more."""

METHODS: dict[Thing, tuple[str, str]] = {
    "tool": ("tools/list", "tools"),
    "prompt": ("prompts/list", "prompts"),
    "resource": ("resources/list", "resources"),
    "template": ("resources/templates/list", "resourceTemplates"),
}
"""How each kind is listed, and the member that holds its entries."""
_CAPABILITY: dict[Thing, str] = {"prompt": "prompts", "resource": "resources",
                                 "template": "resources"}  # fmt: skip

Changed = Callable[[str, Thing], None]
"""Told a connection's id and what of it is listed otherwise now."""


class Seen(NamedTuple):
    """What is known of one connection. `stamp` differs when the entries do.

    `listed_at` is in microseconds; `reason` says why they are no newer, or none.
    """

    entries: tuple[Exposed, ...] | None
    stamp: bytes
    listed_at: int
    reason: str | None


@dataclass(slots=True)
class _Kept:
    """One list of one connection as it is configured. Moments are monotonic.

    `changed` asks for another read; `outdated` lasts until one that was begun later has succeeded.
    """

    revision: str
    edition: int
    stamp: bytes = b""
    entries: tuple[Exposed, ...] | None = None
    definitions: Definitions | None = None
    listed_at: int = 0
    checked: float = float("-inf")
    reason: str | None = None
    failed: float = float("-inf")
    hung: bool = False
    changed: bool = False
    outdated: bool = False
    begun: float = 0.0
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class ChildLists:
    """Lists of connections by kind; one request for each at a time."""

    def __init__(self, upstreams: Upstreams, tools: Tools, health: Health, clock: Clock) -> None:
        self._upstreams = upstreams
        self._tools = tools
        self._health = health
        self._clock = clock
        self._kept: dict[tuple[str, Thing], _Kept] = {}
        self._takers: set[Changed] = set()
        self._tasks = TaskGroup("child lists")

    async def close(self) -> None:
        """Stop reading."""
        await self._tasks.stop()

    def on_change(self, take: Changed) -> Callable[[], None]:
        """Tell `take` of changes, until what is returned is called."""
        self._takers.add(take)
        return lambda: self._takers.discard(take)

    def expire(self, connection: str, thing: Thing) -> None:
        """The upstream said that this list is another now."""
        if thing == "resource":
            self._expire(connection, "template")
        self._expire(connection, thing)
        self._announce(connection, thing)

    def forget_others(self, connections: Iterable[str]) -> None:
        """Drop what is kept of all but these."""
        kept = set(connections)
        for key in [key for key in self._kept if key[0] not in kept]:
            if (task := self._kept.pop(key).task) is not None:
                task.cancel()

    async def seen(self, rows: Iterable[ConnectionRow], thing: Thing) -> dict[str, Seen]:
        """What each lists, by id; asked at once, and waited for no longer than `DEADLINE`."""
        found = [(row, self._look(row, thing)) for row in rows]
        now, waiting, longest = self._clock.monotonic(), set[asyncio.Task[None]](), 0.0
        for row, kept in found:
            if kept.task is None and self._is_due(row, kept, now):
                kept.begun = now
                name = f"{thing} {row.name}"
                kept.task = self._tasks.start(name, self._read(row, kept, thing))
            left = kept.begun + DEADLINE - now
            matters = kept.entries is None or kept.outdated
            if kept.task is not None and matters and not kept.hung and left > 0:
                waiting.add(kept.task)
                longest = max(longest, left)
        if waiting:
            await asyncio.wait(waiting, timeout=longest)
        return {row.id: self._seen(row, kept) for row, kept in found}

    def known(self, rows: Iterable[ConnectionRow], thing: Thing) -> dict[str, Seen]:
        """The same as it is known now: nothing is asked."""
        return {row.id: self._seen(row, self._look(row, thing)) for row in rows}

    def _expire(self, connection: str, thing: Thing) -> None:
        if (kept := self._kept.get((connection, thing))) is not None:
            kept.changed = kept.outdated = True

    def _announce(self, connection: str, thing: Thing) -> None:
        for take in tuple(self._takers):
            take(connection, thing)

    def _seen(self, row: ConnectionRow, kept: _Kept) -> Seen:
        reason = kept.reason
        if reason is None and (state := self._health.of(row)).state in BAD:
            reason = state.reason
        if reason is None and kept.entries is None:
            reason = "it has not answered yet"
        gone = reason is not None and self._clock.now() - kept.listed_at > TOO_OLD
        return Seen(None if gone else kept.entries, kept.stamp, kept.listed_at, reason)

    def _look(self, row: ConnectionRow, thing: Thing) -> _Kept:
        kept = self._kept.get((row.id, thing))
        if kept is None or kept.revision != row.revision:
            if kept is not None and kept.edition > row.edition:  # whoever holds it is behind
                return _Kept(row.revision, row.edition, reason="it changed meanwhile",
                             failed=self._clock.monotonic())  # fmt: skip
            if kept is not None and kept.task is not None:
                kept.task.cancel()
            kept = self._kept[row.id, thing] = _Kept(row.revision, row.edition)
        if thing == "tool":
            listed = self._tools.approved(row)
            if listed is not None and listed is not kept.definitions:
                self._take_over(row, kept, listed)
        return kept

    def _take_over(self, row: ConnectionRow, kept: _Kept, listed: Definitions) -> None:
        """The list that was received last, on whatever way."""
        kept.definitions = listed
        if kept.entries is None or kept.stamp != listed.raw:
            entries = msgspec.json.decode(listed.raw, type=list[Raw])
            kept.entries = tuple(of_connection(row.id, "tool", entries))
        age = max(0, self._clock.now() - listed.listed_at) / MICROSECONDS
        kept.stamp, kept.listed_at = listed.raw, listed.listed_at
        kept.checked = self._clock.monotonic() - age
        kept.reason = None if kept.failed < kept.checked else kept.reason

    def _is_due(self, row: ConnectionRow, kept: _Kept, now: float) -> bool:
        if now - kept.failed < RETRY:
            return False
        if kept.entries is None or kept.changed:
            return True
        # A list is no reason to start a child that sleeps.
        return now - kept.checked > FRESH and not self._upstreams.asleep(row)

    async def _read(self, row: ConnectionRow, kept: _Kept, thing: Thing) -> None:
        before, kept.changed = (kept.entries is not None, kept.stamp), False
        try:
            async with asyncio.timeout(LIST_DEADLINE):
                if thing == "tool":
                    listed = await self._tools.relist(row)
                    self._take_over(row, kept, self._tools.approved(row) or listed.only(set()))
                else:
                    await self._read_other(row, kept, thing)
            kept.reason, kept.failed, kept.hung = None, float("-inf"), False
            kept.outdated = kept.changed
            late = self._clock.monotonic() > kept.begun + DEADLINE
            if before != (True, kept.stamp) and (before[0] or late):
                self._announce(row.id, thing)
        except (MeshError, StoreError, TimeoutError) as error:
            kept.hung = isinstance(error, UpstreamTimeout | TimeoutError)
            told = error.message[:4096] if isinstance(error, MeshError) else ""
            kept.reason = redact_text(told)[:300] or (
                "it does not answer" if kept.hung else "it cannot be kept"
            )
            kept.failed, kept.changed = self._clock.monotonic(), kept.outdated
        finally:
            kept.task = None

    async def _read_other(self, row: ConnectionRow, kept: _Kept, thing: Thing) -> None:
        raws: list[Raw] = []
        said = members(await self._upstreams.initialize_result(row))
        if _CAPABILITY[thing] in members(said.get("capabilities", b"")):
            raws = await self._pages(row, thing)
        stamp = msgspec.json.encode(raws)
        if kept.entries is None or stamp != kept.stamp:
            kept.entries = tuple(of_connection(row.id, thing, raws[:MAX_ENTRIES]))
        kept.stamp, kept.listed_at = stamp, self._clock.now()
        kept.checked = self._clock.monotonic()

    async def _pages(self, row: ConnectionRow, thing: Thing) -> list[Raw]:
        method, member = METHODS[thing]
        raws: list[Raw] = []
        params, size, end = b"{}", 0, self._clock.monotonic() + LIST_DEADLINE
        for _ in range(MAX_PAGES):
            left = end - self._clock.monotonic()
            reply = await self._upstreams.request(row, method, params, within=left)
            if reply.result is None:
                if code_of(reply.error or b"") == jsonrpc.METHOD_NOT_FOUND:
                    break
                raise UpstreamFailed(f'"{row.name}" refused {method}')
            size += len(reply.result)
            if size > MAX_LIST:
                raise UpstreamFailed(f'"{row.name}" lists more than {MAX_LIST >> 20} MiB')
            page = members(reply.result)
            try:
                raws += msgspec.json.decode(page.get(member, b"[]"), type=list[Raw])
            except UNREADABLE:
                raise UpstreamFailed(f'"{row.name}" sent a list that cannot be read') from None
            cursor = text(page.get("nextCursor"))
            if not cursor:
                break
            params = msgspec.json.encode({"cursor": cursor})
        return raws

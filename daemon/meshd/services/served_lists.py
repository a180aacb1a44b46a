"""Which list of an upstream is served: the last one, kept fresh without a question for each client.

A list is served as it is for `FRESH` seconds, then as it was while the upstream is asked anew, and
from `STALE` seconds on only when the upstream has answered. One whose server says how long it holds
is served for so long, up to `LONGEST`, and not a moment longer. A change that the upstream tells of
is waited for. An upstream that fails is covered up for a day by what is known, marked with why, and
one that hangs is waited for once. All this is the same for a connection's own clients and for those
of the virtual MCPs that it is in, and for each kind of list.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import msgspec

from meshd.core.clock import MICROSECONDS, Clock
from meshd.core.redact import redact_text
from meshd.core.tasks import TaskGroup
from meshd.protocol import jsonrpc
from meshd.services.composing import Thing
from meshd.services.definitions import Definitions
from meshd.services.directory import ConnectionRow
from meshd.services.health import Health
from meshd.services.tools import Tools
from meshd.services.upstreams import TOOLS_CHANGED, Upstreams
from meshd.services.whole_list import LIST_DEADLINE, whole_list
from meshd.store.db import StoreError
from meshd.wire.errors import Conflict, MeshError, Unavailable, UpstreamFailed, UpstreamTimeout

FRESH = 5.0
STALE = 30.0
LONGEST = 60.0
"""Seconds that a list is believed, whatever its server says."""
PATIENCE = 4.8
"""Seconds that one upstream may hold up a client that has an older list, or those of others: the
answer is to be there within five."""
RETRY = 5.0
"""Seconds after a failure in which an upstream is not asked again, unless it is back sooner."""
WORN = 24 * 3600.0
"""Seconds after which a list that cannot be renewed is served no more."""
ASLEEP = "asleep"
"""Why a list may be old whose server does not run."""

BAD = frozenset({"failing", "needs_login"})
"""States in which what was listed last may be no more."""

THINGS: dict[str, Thing] = {
    TOOLS_CHANGED: "tool",
    "notifications/prompts/list_changed": "prompt",
    "notifications/resources/list_changed": "resource",
}
"""What is another list by an upstream's word."""

Changed = Callable[[str, Thing], None]
"""Told a connection's id and what of it is listed otherwise now."""


class Listing(NamedTuple):
    """A whole list of other things than tools, as `Definitions` is one of tools."""

    raw: bytes
    listed_at: int
    ttl: float | None


class Served(NamedTuple):
    """A list and, where it may not be the present one, why. None was never had, or is worn."""

    listed: Definitions | Listing | None
    reason: str | None = None


class Tooled(NamedTuple):
    """As `Served`, where there is a list, and of tools."""

    listed: Definitions
    reason: str | None = None


class _Flight(NamedTuple):
    task: asyncio.Task[None]
    begun: float


@dataclass(slots=True)
class _Kept:
    """What is known of one list of one connection as it is configured.

    `listed` is not used for tools, which are kept elsewhere. `told` counts what the upstream said
    of changes, `heard` what of that had been said when the list was asked for. `failed_at` is in
    microseconds; `was_bad` tells whether the connection's state showed the failure, too.
    """

    revision: str
    edition: int
    listed: Listing | None = None
    told: int = 0
    heard: int = 0
    error: MeshError | None = None
    failed_at: int = 0
    was_bad: bool = False
    hung: bool = False
    flight: _Flight | None = field(default=None, repr=False)


class ServedLists:
    """The lists of all connections by kind; one question for each at a time."""

    def __init__(self, tools: Tools, upstreams: Upstreams, health: Health, clock: Clock) -> None:
        self._tools = tools
        self._upstreams = upstreams
        self._health = health
        self._clock = clock
        self._kept: dict[tuple[str, Thing], _Kept] = {}
        self._takers: set[Changed] = set()
        self._tasks = TaskGroup("lists")
        upstreams.on_change(self._hear)
        tools.on_other_tools(lambda row: self._announce(row.id, "tool"))

    async def close(self) -> None:
        """Ask no more."""
        await self._tasks.stop()

    def on_change(self, take: Changed) -> Callable[[], None]:
        """Tell `take` of changes, until what is returned is called."""
        self._takers.add(take)
        return lambda: self._takers.discard(take)

    def known(self, row: ConnectionRow, thing: Thing) -> Served:
        """What is known now: nothing is asked."""
        kept = self._of(row, thing)
        listed = self._listed(row, thing, kept)
        bad = kept.error is not None or self._health.of(row).state in BAD
        worn = listed is not None and bad and self._age(listed) >= WORN
        return Served(None if worn else listed, self._reason(row, kept) if bad else None)

    def at_once(
        self, row: ConnectionRow, thing: Thing = "tool", *, of_many: bool = False
    ) -> Served | None:
        """The list where nobody has to wait for it; renewed behind it when its time has come.

        Where it is one `of_many`, a server that wants its list kept for less than `FRESH` does not
        have them all wait for it.
        """
        kept = self._of(row, thing)
        listed = self._listed(row, thing, kept)
        if listed is None:
            return None
        if self._upstreams.asleep(row):
            return Served(listed, ASLEEP)
        age, current = self._age(listed), self._is_current(row, thing, kept)
        ttl = None if of_many and (listed.ttl or 0.0) < FRESH else listed.ttl
        if current and self._health.of(row).state not in BAD:
            if age < (FRESH if ttl is None else min(ttl, LONGEST)):
                return Served(listed)
            if age < STALE and ttl is None:
                if not self._holds_back(row, kept):
                    self._ask(row, thing, kept)
                    return Served(listed)
                return Served(listed, self._reason(row, kept))
        if age >= WORN:
            return None
        if self._holds_back(row, kept):
            return Served(listed, self._reason(row, kept))
        if self._hangs(kept):
            self._ask(row, thing, kept)
            return Served(listed, self._reason(row, kept))
        return None

    async def look(self, row: ConnectionRow, thing: Thing, *, patient: bool = False) -> Served:
        """The list, asked for where that is due, and waited for, for `PATIENCE` seconds.

        Whoever is `patient` waits to the end where there is no list to serve instead.
        """
        if (served := self.at_once(row, thing)) is not None:
            return served
        kept = self._of(row, thing)
        known = self.known(row, thing)
        if known.listed is None and not patient and self._holds_back(row, kept):
            return known
        longest = LIST_DEADLINE if patient and known.listed is None else PATIENCE
        if known.listed is None and not patient and self._hangs(kept):
            longest = 0.0
        flight = self._ask(row, thing, kept)
        await self._wait(flight, longest)
        if kept.error is None and flight.task.done() and not self._is_current(row, thing, kept):
            flight = self._ask(row, thing, kept)  # the one before was begun before the change
            await self._wait(flight, longest)
        if kept.error is None and flight.task.done():
            return Served(self._listed(row, thing, kept))
        now = self.known(row, thing)
        return Served(now.listed, self._reason(row, kept))

    async def get(self, row: ConnectionRow) -> Tooled:
        """The tools, asked for where that is due.

        Raises:
            UpstreamFailed, NeedsLogin, UpstreamTimeout: they cannot be had, and no list is known
                that is less than a day old.
            Conflict: the connection is disabled, or another by now.
        """
        listed, reason = await self.look(row, "tool", patient=True)
        if isinstance(listed, Definitions):
            return Tooled(listed, reason)
        raise self._of(row, "tool").error or UpstreamFailed(f'"{row.name}" changed meanwhile')

    def warm(self, row: ConnectionRow) -> None:
        """Start a child that is asleep; nobody waits. Open streams hear if its list is another."""
        self._upstreams.warm(row, partial(self._tell_change, row))

    async def _tell_change(self, row: ConnectionRow) -> None:
        before = self._tools.approved(row)
        await self._tools.relist(row)
        after = self._tools.approved(row)
        if before is not None and after is not None and before.raw != after.raw:
            child = await self._upstreams.stdio(row)
            child.talk.announce(TOOLS_CHANGED, jsonrpc.notification(TOOLS_CHANGED))

    def _of(self, row: ConnectionRow, thing: Thing) -> _Kept:
        kept = self._kept.get((row.id, thing))
        if kept is not None and kept.revision == row.revision:
            return kept
        if kept is not None and kept.edition > row.edition:  # whoever holds the row is behind
            return _Kept(
                row.revision, row.edition, error=Conflict(f'"{row.name}" changed meanwhile'),
                failed_at=self._clock.now(),
            )  # fmt: skip
        self._forget_gone()
        if kept is not None and kept.flight is not None:
            kept.flight.task.cancel()
        kept = self._kept[row.id, thing] = _Kept(row.revision, row.edition)
        return kept

    def _forget_gone(self) -> None:
        for key in [key for key in self._kept if not self._tools.is_configured(key[0])]:
            if (flight := self._kept.pop(key).flight) is not None:
                flight.task.cancel()

    def _listed(
        self, row: ConnectionRow, thing: Thing, kept: _Kept
    ) -> Definitions | Listing | None:
        if thing != "tool":
            return kept.listed
        listed = self._tools.approved(row)
        if kept.error is not None and listed is not None and listed.listed_at > kept.failed_at:
            kept.error, kept.hung = None, False  # it was had since, on whatever way
        return listed

    def _is_current(self, row: ConnectionRow, thing: Thing, kept: _Kept) -> bool:
        """Whether the upstream told of no change since the list was asked for."""
        return self._tools.is_current(row) if thing == "tool" else kept.heard == kept.told

    def _holds_back(self, row: ConnectionRow, kept: _Kept) -> bool:
        """Whether it failed just now, and is not back as far as anybody knows."""
        if kept.error is None or kept.flight is not None:
            return False
        if kept.was_bad and self._health.of(row).state not in BAD:
            return False
        return 0 <= self._clock.now() - kept.failed_at < RETRY * MICROSECONDS

    def _hangs(self, kept: _Kept) -> bool:
        """Whether it was waited for already, and nothing came."""
        flight = kept.flight
        late = flight is not None and self._clock.monotonic() - flight.begun >= PATIENCE
        return kept.hung or late

    def _reason(self, row: ConnectionRow, kept: _Kept) -> str:
        state = self._health.of(row)
        said = kept.error.message if kept.error is not None else None
        if said is None and state.state in BAD:
            said = state.reason
        return redact_text((said or "")[:4096])[:300] or "it has not answered yet"

    def _ask(self, row: ConnectionRow, thing: Thing, kept: _Kept) -> _Flight:
        """The question that is under way, begun where there is none."""
        if kept.flight is None:
            task = self._tasks.start(f"{thing} {row.name}", self._read(row, thing, kept))
            kept.flight = _Flight(task, self._clock.monotonic())
        return kept.flight

    async def _wait(self, flight: _Flight, longest: float) -> None:
        left = flight.begun + longest - self._clock.monotonic()
        if left > 0:
            await asyncio.wait([flight.task], timeout=left)

    async def _read(self, row: ConnectionRow, thing: Thing, kept: _Kept) -> None:
        before, told, news = self._listed(row, thing, kept), kept.told, kept.hung
        try:
            if thing == "tool":
                await self._tools.relist(row)
            else:
                whole = await whole_list(self._upstreams, row, thing)
                raw = msgspec.json.encode(whole.entries)
                kept.listed = Listing(raw, self._clock.now(), whole.ttl)
                kept.heard = told
        except (MeshError, StoreError) as error:
            kept.error = error if isinstance(error, MeshError) else Unavailable("it cannot be kept")
            kept.hung = isinstance(error, UpstreamTimeout)
            kept.failed_at = self._clock.now()
            kept.was_bad = self._health.of(row).state in BAD
        else:
            kept.error, kept.hung = None, False
            if before is None:  # who asked first may have had to go without it
                news = news or self._hangs(kept)
            else:  # of tools that are others it is told wherever they are learnt
                after = kept.listed
                news = isinstance(before, Listing) and after is not None and after.raw != before.raw
            if news:
                self._announce(row.id, thing)
        finally:
            kept.flight = None

    def _hear(self, row: ConnectionRow, method: str) -> None:
        """An upstream said that a list is another now; that of resources tells of templates too."""
        thing = THINGS.get(method)
        if thing is None:
            return
        for one in ("resource", "template") if thing == "resource" else (thing,):
            if (kept := self._kept.get((row.id, one))) is not None:
                kept.told += 1
        self._announce(row.id, thing)

    def _announce(self, connection: str, thing: Thing) -> None:
        for take in tuple(self._takers):
            take(connection, thing)

    def _age(self, listed: Definitions | Listing) -> float:
        """Seconds."""
        return max(0, self._clock.now() - listed.listed_at) / MICROSECONDS

"""Which tool list clients are served: the last one, kept fresh without a question for each client.

A list is served as it is for `FRESH` seconds, then as it was while the upstream is asked anew, and
from `STALE` seconds on only when the upstream has answered. One whose server says how long it holds
is served for so long, up to `LONGEST`, and not a moment longer. A change that the upstream tells of
is waited for. An upstream that fails is covered up for a day by what is known, marked with why.
"""

import time
from dataclasses import dataclass
from functools import partial

from meshd.core.clock import MICROSECONDS, Clock
from meshd.protocol import jsonrpc
from meshd.services.definitions import Definitions
from meshd.services.directory import ConnectionRow
from meshd.services.health import Health
from meshd.services.tools import Tools
from meshd.services.upstreams import TOOLS_CHANGED, Upstreams
from meshd.wire.errors import MeshError, NeedsLogin, UpstreamFailed, UpstreamTimeout

FRESH = 5.0
STALE = 30.0
LONGEST = 60.0
"""Seconds that a list is believed, whatever its server says."""
PATIENCE = 10.0
"""Seconds that a client waits for a list when there is an older one."""
RETRY = 5.0
"""Seconds after a failure in which the upstream is not asked for its list again."""
_FAILING = frozenset({"failing", "needs_login"})
WORN = 24 * 3600.0
"""Seconds after which a list that cannot be renewed is served no more."""


@dataclass(frozen=True, slots=True)
class Served:
    """A list and, where it may not be the present one, why."""

    listed: Definitions
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Failure:
    revision: str
    until: float
    error: MeshError


class ServedLists:
    """What is approved of each connection, as clients list it."""

    def __init__(self, tools: Tools, upstreams: Upstreams, health: Health, clock: Clock) -> None:
        self._tools = tools
        self._upstreams = upstreams
        self._health = health
        self._clock = clock
        self._failed: dict[str, _Failure] = {}

    def at_once(self, row: ConnectionRow) -> Served | None:
        """The list where nobody has to wait for it; renewed behind it when its time has come."""
        listed = self._tools.approved(row)
        if listed is None:
            return None
        if self._upstreams.asleep(row):
            self.warm(row)
            return Served(listed, "starting")
        if not self._tools.is_current(row) or self._health.of(row).state in _FAILING:
            return None
        age = self._age(listed)
        if age < (FRESH if listed.ttl is None else min(listed.ttl, LONGEST)):
            return Served(listed)
        if age >= STALE or listed.ttl is not None:
            return None
        self._tools.begin_relist(row)
        return Served(listed)

    async def get(self, row: ConnectionRow) -> Served:
        """The list, asked for where that is due.

        Raises:
            UpstreamFailed, NeedsLogin, UpstreamTimeout: it cannot be had, and none is known that
                is less than a day old.
            Conflict: the connection is disabled.
        """
        served = self.at_once(row)
        if served is not None:
            return served
        known = self._tools.approved(row)
        if known is not None and self._age(known) >= WORN:
            known = None
        failure = self._failure(row)
        if failure is None or known is None:
            try:
                await self._ask(row, patient=known is None)
            except (UpstreamFailed, NeedsLogin, UpstreamTimeout) as error:
                failure = error
            else:
                failure = None
        now = self._tools.approved(row)
        if failure is None and now is not None:
            return Served(now)
        if known is None:
            raise failure or UpstreamFailed(f'"{row.name}" changed meanwhile')
        return Served(known, failure.message if failure is not None else None)

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

    async def _ask(self, row: ConnectionRow, *, patient: bool) -> None:
        try:
            if patient:
                await self._tools.relist(row)
            else:
                await self._tools.relist(row, within=PATIENCE)
        except MeshError as error:
            now = time.monotonic()
            self._failed = {
                one: failed for one, failed in self._failed.items() if failed.until > now
            }
            self._failed[row.id] = _Failure(row.revision, now + RETRY, error)
            raise
        self._failed.pop(row.id, None)

    def _failure(self, row: ConnectionRow) -> MeshError | None:
        failed = self._failed.get(row.id)
        if failed is None:
            return None
        if failed.revision != row.revision or time.monotonic() >= failed.until:
            del self._failed[row.id]
            return None
        return failed.error

    def _age(self, listed: Definitions) -> float:
        """Seconds."""
        return max(0, self._clock.now() - listed.listed_at) / MICROSECONDS

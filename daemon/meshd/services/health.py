"""What contact with each upstream showed: kept in memory, written when it changes."""

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace

from meshd.core.clock import Clock
from meshd.core.redact import redact_text
from meshd.services.directory import ConnectionRow, Directory
from meshd.services.events import Events
from meshd.services.principal import the_daemon
from meshd.services.virtual_rows import VIRTUAL
from meshd.store.db import ExpectFailed, Step, StoreError
from meshd.store.scoped import ScopedDatabase
from meshd.wire.connection import State
from meshd.wire.errors import MeshError, NeedsLogin, Unavailable

log = logging.getLogger(__name__)

RETRY = 1.0
"""Seconds before a state that could not be written is tried again."""


@dataclass(slots=True)
class Seen:
    """What contact showed; `at` is the last that succeeded, `revision` the configuration then."""

    revision: str
    state: State
    reason: str | None
    at: int | None


class Health:
    """States of connections."""

    def __init__(
        self, db: ScopedDatabase, directory: Directory, events: Events, clock: Clock
    ) -> None:
        self._db = db
        self._directory = directory
        self._events = events
        self._clock = clock
        self._seen: dict[str, Seen] = {}
        self._changed: dict[str, ConnectionRow] = {}
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self.failures = Counter[str]()
        """How often contact failed, by the connection's id."""

    def of(self, row: ConnectionRow) -> Seen:
        """The state as it may be shown."""
        if not row.enabled:
            return Seen(row.revision, "disabled", None, row.seen_at)
        seen = self._seen.get(row.id)
        if seen is not None and seen.revision == row.revision:
            return seen
        return Seen(row.revision, row.state, row.reason, row.seen_at)  # type: ignore[arg-type]

    def reached(self, row: ConnectionRow) -> None:
        """The upstream answered. Cheap when it was ready already. A virtual MCP has no state."""
        if row.transport == VIRTUAL:
            return
        seen, now = self._seen.get(row.id), self._clock.now()
        if seen is None or seen.state != "ready" or seen.revision != row.revision:
            self._set(row, Seen(row.revision, "ready", None, now))
        else:
            seen.at = now

    def failed(self, row: ConnectionRow, error: MeshError) -> None:
        """The upstream could not be reached, or refused us. A virtual MCP has no state."""
        if row.transport == VIRTUAL:
            return
        self.failures[row.id] += 1
        state: State = "needs_login" if isinstance(error, NeedsLogin) else "failing"
        seen = self._seen.get(row.id)
        reason = redact_text(error.message[:4096])[:300]
        if seen is None or (seen.state, seen.reason, seen.revision) != (
            state, reason, row.revision,
        ):  # fmt: skip
            self._set(row, Seen(row.revision, state, reason, seen.at if seen else row.seen_at))

    def forget(self, connection: str) -> None:
        """The connection is gone, or another one now."""
        self._seen.pop(connection, None)
        self._changed.pop(connection, None)
        self.failures.pop(connection, None)

    def _set(self, row: ConnectionRow, seen: Seen) -> None:
        self._seen[row.id] = seen
        self._changed[row.id] = row
        self._wake.set()

    async def write_changes(self) -> None:
        """Write changed states, for ever. What could not be written is tried again."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.flush()
            if self._changed:
                await asyncio.sleep(RETRY)
                self._wake.set()

    async def flush(self) -> None:
        """Write every changed state, with the event that tells of it."""
        async with self._writing:
            for row in tuple(self._changed.values()):
                seen = self._seen.get(row.id)
                try:
                    if seen is not None:
                        await self._write(row, replace(seen))
                except (StoreError, Unavailable) as error:
                    log.warning("the state of %s could not be written: %s", row.name, error)
                    continue
                if self._seen.get(row.id) is seen:
                    self._changed.pop(row.id, None)

    async def _write(self, row: ConnectionRow, seen: Seen) -> None:
        present = self._directory.view.connections.get(row.id)
        if present is None or present.revision != seen.revision:
            return  # another configuration, about which this says nothing
        if (present.state, present.reason) == (seen.state, seen.reason):
            return
        steps = [
            Step(
                "connection.observe",
                {"org_id": row.org, "id": row.id, "state": seen.state,
                 "reason": seen.reason, "seen_at": seen.at, "edition": present.edition},
                expect=1,
            ),
        ]  # fmt: skip
        if present.state != seen.state:
            about = {"name": row.name, "state": seen.state, "reason": seen.reason}
            steps.append(
                self._events.step(the_daemon(row.org), f"connection.{seen.state}", row.id, about)
            )
        steps.append(Step("revision.bump", {"topic": "connections"}))
        with suppress(ExpectFailed):  # another daemon told the same, or edited it
            await self._db.org(row.org).write(*steps)
        await self._directory.refresh()
        self._events.bell.ring()

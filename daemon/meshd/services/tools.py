"""The tools behind connections: their definitions as last listed, and who may call which."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import msgspec
from msgspec import Raw

from meshd.core.beside import worked_out
from meshd.core.clock import MICROSECONDS, Clock
from meshd.services.access import Decision, decide
from meshd.services.definitions import (
    Definition,
    Definitions,
    from_entries,
    from_stored,
)
from meshd.services.directory import ConnectionRow, Directory
from meshd.services.events import Events
from meshd.services.lookup import find_connection
from meshd.services.once import Once
from meshd.services.principal import Principal, the_daemon
from meshd.services.recovering import may_repeat
from meshd.services.tool_changes import difference, told
from meshd.services.upstreams import Upstreams, disabled
from meshd.services.whole_list import LIST_DEADLINE, whole_list
from meshd.store.db import ExpectFailed, Row, Step
from meshd.store.scoped import ScopedDatabase
from meshd.wire.errors import Conflict, Unauthenticated

FRESH = 60 * MICROSECONDS
"""How old a list may be that decides on a call: a read-only key's, or at a pinned connection."""
MANY = 50
"""Tools of which nothing is worked out on the event loop."""
SEEN = 3600 * MICROSECONDS
"""How often it is written that a list is still the same."""


@dataclass(slots=True)
class _Known:
    """The last list of a connection; `changes` is what had been said of changes when it was asked.

    `approved` is what of it is approved, and for which list and approval that was worked out.
    """

    revision: str
    listed: Definitions
    changes: int
    written_at: int
    approved: "tuple[Definitions, Mapping[str, str], Definitions] | None" = None


class Tools:
    """Keeps the last list of each connection, and decides by it."""

    def __init__(
        self,
        db: ScopedDatabase,
        directory: Directory,
        upstreams: Upstreams,
        events: Events,
        clock: Clock,
    ) -> None:
        self._db = db
        self._directory = directory
        self._upstreams = upstreams
        self._clock = clock
        self._events = events
        self._known: dict[str, _Known] = {}
        self._asking: Once[Definitions] = Once("tools")
        self._observers: list[Callable[[ConnectionRow], None]] = []
        upstreams.know_schemas(self.schema)
        upstreams.know_connections(self._configured)

    def on_other_tools(self, observer: Callable[[ConnectionRow], None]) -> None:
        """Tell `observer` whenever what may be shown turns out to be another than before."""
        self._observers.append(observer)

    async def load(self) -> None:
        """Read the stored lists; called once at start."""
        rows = self._directory.view.connections
        for stored in await self._db.all("definitions.all"):
            row = rows.get(stored["connection_id"])
            if row is not None:
                self._keep_stored(row, stored)

    async def close(self) -> None:
        """End what is asked in the background."""
        await self._asking.stop()

    async def read_stored(self, row: ConnectionRow) -> None:
        """Take over the list that another daemon stored, if there is one."""
        stored = await self._db.org(row.org).one(
            "definitions.get", connection_id=row.id, edition=row.edition
        )
        if stored is not None and self.known(row) is None:
            self._keep_stored(row, stored)

    def _keep_stored(self, row: ConnectionRow, stored: Row) -> None:
        at = stored["listed_at"]
        listed = from_stored(bytes(stored["tools"]), at)
        self._keep(row, _Known(row.revision, listed, self._upstreams.tool_changes(row), at))

    def _keep(self, row: ConnectionRow, known: _Known) -> None:
        """Unless the connection is another by now: its own list is not to give way."""
        now = self._configured(row.id)
        if now is not None and now.revision == row.revision:
            self._known[row.id] = known

    def is_configured(self, connection: str) -> bool:
        """Whether there is such a connection at present."""
        return self._configured(connection) is not None

    def _configured(self, connection: str) -> ConnectionRow | None:
        return self._directory.latest.connections.get(connection)

    def known(self, row: ConnectionRow) -> Definitions | None:
        """The last list of the connection as it is configured now."""
        entry = self._entry(row)
        return entry.listed if entry is not None else None

    def _entry(self, row: ConnectionRow) -> _Known | None:
        entry = self._known.get(row.id)
        return entry if entry is not None and entry.revision == row.revision else None

    def approved(self, row: ConnectionRow) -> Definitions | None:
        """What every list may show of the connection: of its last list, what is approved.

        Of a pinned one that is what has the fingerprint that was approved, else all of it.
        """
        entry = self._entry(row)
        if entry is None or not row.pinned:
            return entry.listed if entry is not None else None
        of = entry.approved
        if of is None or of[1] is not row.approved or of[0].raw is not entry.listed.raw:
            prints = entry.listed.fingerprints
            names = {name for name, found in prints.items() if row.approves(name, found)}
            of = entry.approved = (entry.listed, row.approved, entry.listed.only(names))
        elif of[0] is not entry.listed:
            of = entry.approved = (entry.listed, row.approved, of[2].again(entry.listed))
        return of[2]

    def is_current(self, row: ConnectionRow) -> bool:
        """Whether the upstream told of no change since the last list was asked for."""
        entry = self._entry(row)
        return entry is not None and entry.changes == self._upstreams.tool_changes(row)

    def changes_heard(self, row: ConnectionRow) -> int:
        """`tool_changes` of the moment when the last list was asked for."""
        entry = self._entry(row)
        return entry.changes if entry is not None else 0

    def schema(self, row: ConnectionRow, tool: str) -> bytes:
        """A tool's input schema as last listed; empty where it is not known."""
        listed = self.known(row)  # what may be called was decided before
        found = listed.tools.get(tool) if listed is not None else None
        return bytes(found.input_schema) if found is not None else b""

    def may_repeat(self, row: ConnectionRow, method: str, tool: str) -> bool:
        """Whether a request that may have run may be sent again; `tool` is that of a call."""
        return may_repeat(method, tool, self.known(row))

    async def learn(
        self,
        row: ConnectionRow,
        entries: list[Raw],
        *,
        changes: int | None = None,
        rest: Mapping[str, Raw] | None = None,
        ttl: float | None = None,
    ) -> Definitions:
        """Remember a list received whole; written, and told of, only when it differs.

        `changes` is `tool_changes` of the moment when it was asked for.
        """
        said = self._upstreams.tool_changes(row) if changes is None else changes
        make = partial(from_entries, entries, self._clock.now(), rest=rest, ttl=ttl)
        long = len(entries) > MANY
        listed = await worked_out(make, long=long)
        before = self._entry(row)
        if before is not None and before.listed.raw == listed.raw:
            before.listed, before.changes = before.listed.again(listed), said
            if listed.listed_at - before.written_at > SEEN:
                before.written_at = listed.listed_at
                await self._db.org(row.org).write(Step("definitions.seen", _about(row, listed)))
            return before.listed
        steps = [Step("definitions.put", {**_about(row, listed), "tools": listed.raw}, expect=1)]
        changed = []
        if before is not None:
            compare = partial(difference, before.listed, listed)
            changed = await worked_out(compare, long=long)
        if changed:
            by, about = the_daemon(row.org), told(row.name, changed)
            steps.append(self._events.step(by, "tool.changed", row.id, about))
        with suppress(ExpectFailed):  # another daemon told the same, or edited or removed it
            await self._db.org(row.org).write(
                *steps, Step("revision.bump", {"topic": "definitions"})
            )
            self._events.bell.ring()
        if row.pinned:
            await worked_out(lambda: listed.fingerprints, long=long)
        # Not before: what could not be written is found to differ once more, and told of then.
        shown = self.approved(row)
        self._keep(row, _Known(row.revision, listed, said, listed.listed_at))
        now = self.approved(row)
        if shown is not None and now is not None and shown.raw != now.raw:
            for observer in self._observers:
                observer(row)
        return listed

    def forget(self, row: ConnectionRow) -> Step:
        """Forget the list of a changed or removed connection; the step that stores that."""
        self._known.pop(row.id, None)
        return Step("definitions.drop", {"org_id": row.org, "connection_id": row.id})

    async def refresh(self, row: ConnectionRow, *, within: float = LIST_DEADLINE) -> Definitions:
        """Ask the upstream for its whole list, for at most `within` seconds.

        Raises:
            UpstreamFailed, NeedsLogin, UpstreamTimeout, Conflict: it could not be had.
        """
        changes = self._upstreams.tool_changes(row)
        whole = await whole_list(self._upstreams, row, "tool", within=within)
        return await self.learn(row, whole.entries, changes=changes, rest=whole.rest, ttl=whole.ttl)

    async def relist(self, row: ConnectionRow, *, within: float = LIST_DEADLINE) -> Definitions:
        """As `refresh`; whoever asks meanwhile shares the answer. Raises as that."""
        return await self._asking.ask(
            self._question(row), partial(self.refresh, row), within=within
        )

    def begin_relist(self, row: ConnectionRow) -> None:
        """Have it done; nobody waits."""
        self._asking.begin(self._question(row), partial(self.refresh, row))

    def _question(self, row: ConnectionRow) -> tuple[str, str, int]:
        """Who hears of a change asks anew, whatever was asked before it."""
        return row.id, row.revision, self._upstreams.tool_changes(row)

    async def _present(self, row: ConnectionRow) -> Definitions:
        """A list that may decide on a call. Raises as `refresh`."""
        listed = self.known(row)
        if (
            listed is None
            or not self.is_current(row)
            or self._clock.now() - listed.listed_at > FRESH
        ):
            return await self.relist(row)
        return listed

    async def reads_only(self, row: ConnectionRow, tool: str) -> bool:
        """Whether the tool is annotated as read-only at present. Raises as `refresh`."""
        found = (await self._present(row)).tools.get(tool)
        return found is not None and found.read_only

    async def decide(self, who: Principal, row: ConnectionRow, tool: str) -> Decision:
        """Whether the tool may be called; for some the present list has to be looked at.

        Raises:
            UpstreamFailed and the like: that list cannot be had.
        """
        found: Definition | None = None
        looks = who.read_only or row.pinned
        if looks and decide(who, row.id, "tool", tool, reads_only=lambda: True):
            listed = await self._present(row)
            found = listed.tools.get(tool)
            who = self.still(who, row)
        return decide(
            who, row.id, "tool", tool,
            reads_only=lambda: found is not None and found.read_only,
            approved=lambda: self.stands(row, tool),
        )  # fmt: skip

    def stands(self, row: ConnectionRow, tool: str) -> bool:
        """Whether a tool is as it was approved."""
        listed = self.approved(row) if row.pinned else None
        return not row.pinned or (listed is not None and tool in listed.tools)

    def still(self, who: Principal, row: ConnectionRow) -> Principal:
        """The principal as it stands after a wait, at a connection that is still the same."""
        present = who.present()
        if present is None:
            raise Unauthenticated
        now = find_connection(self._directory.view, who.org, row.id)
        if not now.enabled:
            raise disabled(now)
        if now.revision != row.revision:
            raise Conflict(f'"{row.name}" changed meanwhile')
        return present


def _about(row: ConnectionRow, listed: Definitions) -> dict[str, object]:
    return {
        "org_id": row.org, "connection_id": row.id, "edition": row.edition, "now": listed.listed_at,
    }  # fmt: skip


def decoded_error(error: bytes | None) -> dict[str, object]:
    """The members of a JSON-RPC error; none of what is no object."""
    try:
        body = msgspec.json.decode(error or b"{}")
    except msgspec.DecodeError:
        return {}
    return body if isinstance(body, dict) else {}

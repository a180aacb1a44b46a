"""Approving definitions: what differs from what is approved, and approving what was shown.

An approval is of a fingerprint: whoever approves names the one that was shown, and is refused when
the upstream changed the tool since.
"""

import json
from collections.abc import Mapping

from msgspec import UNSET, Raw

from meshd.services.definitions import Definitions, from_entries, from_stored
from meshd.services.directory import ConnectionRow, Directory
from meshd.services.events import Events
from meshd.services.lookup import find_connection
from meshd.services.principal import Principal
from meshd.services.tool_changes import MAX_NAME, MAX_TOLD, Change, difference
from meshd.services.tools import Tools
from meshd.store.db import ExpectFailed, Step
from meshd.store.scoped import ScopedDatabase
from meshd.wire.errors import (
    Conflict,
    NeedsLogin,
    NotFound,
    UpstreamFailed,
    UpstreamTimeout,
)
from meshd.wire.tool import ToolApprove, ToolApproved, ToolChange, ToolDiff

NOTHING = from_entries((), 0)


class Approvals:
    """The rules of approving."""

    def __init__(
        self, db: ScopedDatabase, directory: Directory, events: Events, tools: Tools
    ) -> None:
        self._db = db
        self._directory = directory
        self._events = events
        self._tools = tools

    async def diff(self, who: Principal, asked: ToolDiff) -> list[ToolChange]:
        """Of a pinned connection what differs from what is approved; else its last change.

        Raises:
            NotFound: there is no such connection, or no such tool on either side.
            UpstreamFailed and the like: it was never listed, and cannot be now.
        """
        row = find_connection(self._directory.view, who.org, asked.connection)
        listed = await self._present(row)
        before = await (self._approved(row) if row.pinned else self._previous(row, listed))
        changes = difference(before, listed)
        if asked.tool is not UNSET:
            if asked.tool not in before.entries and asked.tool not in listed.entries:
                raise _no_tool(row, asked.tool)
            changes = [change for change in changes if change.tool == asked.tool]
        return [_to_wire(row, change, before, listed) for change in changes]

    async def approve(self, who: Principal, asked: ToolApprove) -> ToolApproved:
        """Approve what was shown: a definition by its fingerprint, that a tool is gone by null.

        Raises:
            NotFound: there is no such connection or tool.
            Conflict: it is not pinned, or a tool is another than the one that was shown.
        """
        async with self._directory.changing():
            row = find_connection(self._directory.view, who.org, asked.connection)
            if not row.pinned:
                raise Conflict(
                    f'connection "{row.name}" is not pinned: its tools need no approval',
                    next=f"meshctl connection edit {row.name} --trust pinned",
                )
            listed = self._tools.known(row) or NOTHING
            before = await self._approved(row)
            _check_shown(row, asked.fingerprints, before, listed)
            if not asked.fingerprints:
                return ToolApproved(connection=row.name, approved=[])
            entries = dict(before.entries)
            for tool, shown in asked.fingerprints.items():
                if shown is None:
                    entries.pop(tool, None)
                else:
                    entries[tool] = listed.entries[tool]
            await self._write(who, row, entries, sorted(asked.fingerprints))
        return ToolApproved(connection=row.name, approved=list(asked.fingerprints))

    async def approve_listed(self, who: Principal, connection: str) -> None:
        """Approve a connection's list as it stands, with which it was just pinned."""
        async with self._directory.changing():
            row = find_connection(self._directory.view, who.org, connection)
            listed = self._tools.known(row)
            if listed is not None and row.pinned:
                await self._write(who, row, listed.entries, list(listed.entries))

    def drop(self, row: ConnectionRow) -> Step:
        """Forget what is approved of a connection that is pinned no more; a step of that unit."""
        return Step("approval.drop", {"org_id": row.org, "connection_id": row.id})

    async def _write(
        self, who: Principal, row: ConnectionRow, entries: Mapping[str, Raw], told: list[str]
    ) -> None:
        approved = from_entries(entries.values(), 0)
        about = {
            "connection": row.name, "tools": [name[:MAX_NAME] for name in told[:MAX_TOLD]],
            **({"more": len(told) - MAX_TOLD} if len(told) > MAX_TOLD else {}),
        }  # fmt: skip
        own = {"org_id": row.org, "connection_id": row.id}
        put = {
            **own, "fingerprints": json.dumps(dict(approved.fingerprints)), "tools": approved.raw,
        }  # fmt: skip
        try:
            await self._db.org(row.org).write(
                Step("connection.approve", {**own, "id": row.id, "edition": row.edition}, expect=1),
                Step("approval.put", put),
                self._events.step(who, "tool.approved", row.id, about),
                Step("revision.bump", {"topic": "connections"}),
            )
        except ExpectFailed:
            raise _changed(row) from None
        await self._directory.refresh()
        self._events.bell.ring()

    async def _present(self, row: ConnectionRow) -> Definitions:
        """The list as it is now, or as it was last if it cannot be had."""
        known = self._tools.known(row)
        try:
            return await self._tools.refresh(row)
        except (UpstreamFailed, UpstreamTimeout, NeedsLogin, Conflict):
            if known is None:
                raise
            return known

    async def _approved(self, row: ConnectionRow) -> Definitions:
        found = await self._db.org(row.org).one("approval.get", connection_id=row.id)
        return from_stored(bytes(found["tools"]), 0) if found is not None else NOTHING

    async def _previous(self, row: ConnectionRow, listed: Definitions) -> Definitions:
        found = await self._db.org(row.org).one("definitions.previous", connection_id=row.id)
        return from_stored(bytes(found["previous"]), 0) if found is not None else listed


def _check_shown(
    row: ConnectionRow,
    shown: Mapping[str, str | None],
    before: Definitions,
    listed: Definitions,
) -> None:
    for tool, fingerprint in shown.items():
        if tool not in listed.entries and tool not in before.entries:
            raise _no_tool(row, tool)
        if listed.fingerprints.get(tool) != fingerprint:
            raise _changed(row)


def _changed(row: ConnectionRow) -> Conflict:
    return Conflict(
        f'the tools of "{row.name}" changed since they were shown',
        next=f"meshctl tool diff {row.name}",
    )


def _no_tool(row: ConnectionRow, tool: str) -> NotFound:
    return NotFound(
        f'connection "{row.name}" has no tool "{ascii(tool[:60])[1:-1]}"',
        next=f"meshctl tool list {row.name}",
    )


def _to_wire(
    row: ConnectionRow, change: Change, before: Definitions, after: Definitions
) -> ToolChange:
    name = change.tool
    return ToolChange(
        connection=row.name,
        tool=name,
        change=change.kind,
        fields=list(change.fields),
        before=before.entries.get(name),
        after=after.entries.get(name),
        fingerprint=after.fingerprints.get(name),
        withheld=row.pinned and change.kind != "removed",
    )

"""Virtual MCPs: making, changing and removing them. How one is served stands elsewhere."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from msgspec import UNSET

from meshd.core.clock import Clock
from meshd.services.bounds import check_within
from meshd.services.definitions import Definitions
from meshd.services.directory import Directory
from meshd.services.events import Events
from meshd.services.grant_removal import without_grants_on
from meshd.services.grants import ANY
from meshd.services.lookup import find_target, find_virtual
from meshd.services.principal import Principal
from meshd.services.subscription_rows import stored_maker
from meshd.services.tools import Tools
from meshd.services.virtual_graph import check_names, check_shape, check_unused
from meshd.services.virtual_rows import ChildRow, VirtualRow, stored_child
from meshd.services.virtual_rules import (
    MAX_DESCRIPTION,
    MAX_INSTRUCTIONS,
    attached,
    check_text,
)
from meshd.services.virtual_shown import shown
from meshd.store.db import ExpectFailed, Step, UniqueViolation
from meshd.store.scoped import ScopedDatabase
from meshd.wire.connection import Removed
from meshd.wire.errors import Conflict, NotFound
from meshd.wire.ids import new_id
from meshd.wire.names import check_name
from meshd.wire.virtual import (
    Virtual,
    VirtualAttach,
    VirtualCreate,
    VirtualEdit,
)

MAX_OF_AN_ORG = 200
MAX_CHILDREN = 100


class Virtuals:
    """The rules of virtual MCPs."""

    def __init__(
        self,
        db: ScopedDatabase,
        directory: Directory,
        events: Events,
        tools: Tools,
        clock: Clock,
    ) -> None:
        self._db = db
        self._directory = directory
        self._events = events
        self._tools = tools
        self._clock = clock

    async def all(self, who: Principal) -> list[Virtual]:
        """Those of the org, by name."""
        found = []
        for row in self._directory.view.virtuals.values():
            if row.org == who.org:
                found.append(self._wire(row))
                await asyncio.sleep(0)  # counting the tools of all of them would hold up others
        return found

    def show(self, who: Principal, name: str) -> Virtual:
        """One, by name or id. Raises NotFound."""
        return self._wire(self._find(who, name))

    async def create(self, who: Principal, asked: VirtualCreate) -> Virtual:
        """Make one that runs under its maker's scope.

        Raises:
            BadRequest: a name or text is not valid.
            NotFound: a child is neither a connection nor a virtual MCP.
            Denied: the maker may not do all that it would allow.
            Conflict: the name is taken, tools would have one name, or it is too much.
        """
        async with self._directory.changing():
            view, now = self._directory.view, self._clock.now()
            if sum(row.org == who.org for row in view.virtuals.values()) >= MAX_OF_AN_ORG:
                raise Conflict(f"an org has at most {MAX_OF_AN_ORG} virtual MCPs")
            children = dict.fromkeys(find_target(view, who.org, one).id for one in asked.children)
            row = VirtualRow(
                id=new_id("vir"), org=who.org, name=check_name(asked.name, "virtual MCP"),
                description=check_text(asked.description, "description", MAX_DESCRIPTION),
                instructions=_instructions(asked.instructions), mode=asked.mode,
                naming=asked.naming, enabled=True, maker=who,
                children=tuple(map(ChildRow, children)), edition=0, created_at=now, revision="",
            )  # fmt: skip
            for child in row.children:
                self._check_scope(who, row, child)
            self._check(row)
            added = {
                **_columns(row), "maker": stored_maker(who), "owner_id": who.owner, "now": now,
            }  # fmt: skip
            await self._write(
                row,
                Step("virtual.add", added, expect=1),
                *(_attach(row, child) for child in row.children),
                self._event(who, "created", row),
            )
        return self.show(who, row.id)

    async def edit(self, who: Principal, asked: VirtualEdit) -> Virtual:
        """Change what is said of it as a whole. Raises as `create`."""
        async with self._directory.changing():
            before = self._find(who, asked.virtual)
            after = replace(
                before,
                name=before.name if asked.name is UNSET else check_name(asked.name, "virtual MCP"),
                description=before.description
                if asked.description is UNSET
                else check_text(asked.description, "description", MAX_DESCRIPTION),
                instructions=before.instructions
                if asked.instructions is UNSET
                else _instructions(asked.instructions),
                mode=before.mode if asked.mode is UNSET else asked.mode,
                naming=before.naming if asked.naming is UNSET else asked.naming,
            )
            self._check(after)
            await self._change(after, self._event(who, "edited", after))
        return self.show(who, before.id)

    async def attach(self, who: Principal, asked: VirtualAttach) -> Virtual:
        """Put a child behind the others, or change what is selected of it. Raises as `create`."""
        async with self._directory.changing():
            view = self._directory.view
            before = self._find(who, asked.virtual)
            target = find_target(view, who.org, asked.child)
            children = {child.child: child for child in before.children}
            child = attached(
                children.get(target.id, ChildRow(target.id)), asked, self._listed(target.id)
            )
            children[target.id] = child
            after = replace(before, children=tuple(children.values()))
            self._check_scope(who, before, child)
            self._check(after)
            await self._change(
                after,
                _attach(after, child),
                self._event(who, "attached", after, child=target.name),
            )
        return self.show(who, before.id)

    async def detach(self, who: Principal, name: str, child: str) -> Virtual:
        """Take a child out. Raises NotFound, Conflict."""
        async with self._directory.changing():
            row = self._find(who, name)
            target = find_target(self._directory.view, who.org, child)
            if all(one.child != target.id for one in row.children):
                raise NotFound(
                    f'"{target.name}" is not part of "{row.name}"',
                    next=f"meshctl virtual show {row.name}",
                )
            left = tuple(one for one in row.children if one.child != target.id)
            await self._change(
                replace(row, children=left),
                Step("virtual.detach", {"virtual_id": row.id, "child_id": target.id}, expect=1),
                self._event(who, "detached", row, child=target.name),
            )
        return self.show(who, row.id)

    async def enable(self, who: Principal, name: str, *, enabled: bool) -> Virtual:
        """Serve it, or stop serving it. Raises NotFound, Conflict."""
        async with self._directory.changing():
            row = self._find(who, name)
            if row.enabled != enabled:
                kind = "enabled" if enabled else "disabled"
                await self._change(replace(row, enabled=enabled), self._event(who, kind, row))
        return self.show(who, row.id)

    async def remove(self, who: Principal, name: str) -> Removed:
        """Remove it with every grant on it. Raises NotFound, and Conflict where it is used."""
        async with self._directory.changing():
            row = self._find(who, name)
            check_unused(self._directory.view, row.id, row.name)
            await self._write(
                row,
                Step("virtual.remove", {"id": row.id}, expect=1),
                *without_grants_on(self._directory.view, row.org, row.id),
                self._event(who, "removed", row),
                Step("revision.bump", {"topic": "keys"}),
            )
        return Removed(id=row.id, name=row.name)

    def _check(self, row: VirtualRow) -> None:
        """Whether it may be as it is, and those that contain it with it."""
        view = self._directory.view
        if (row.org, row.name) in view.by_name:
            raise Conflict(
                f'a connection "{row.name}" exists already',
                next=f"meshctl connection show {row.name}",
            )
        if len(row.children) > MAX_CHILDREN:
            raise Conflict(f"a virtual MCP has at most {MAX_CHILDREN} children")
        after = {**view.virtuals, row.id: row}
        check_shape(after, row.id)
        check_names(after, row.id, self._name, self._known)

    def _check_scope(self, who: Principal, row: VirtualRow, child: ChildRow) -> None:
        """Whether a key may itself do all that the child would allow, for as long."""
        selected = {"": child.tools, "resource:": child.resources, "prompt:": child.prompts}
        grants = [
            prefix + pattern
            for prefix, patterns in selected.items()
            for pattern in ((ANY,) if patterns is None else patterns)
        ]
        whole = all(patterns is None for patterns in selected.values())
        conveyed = replace(
            row.maker,
            name=row.name,
            permissions={child.child: (ANY,) if whole else tuple(grants)},
            role=None,
        )
        check_within(who, conveyed, self._name)

    async def _change(self, after: VirtualRow, *steps: Step) -> None:
        virtuals = self._directory.view.virtuals.values()
        editions = sum(row.edition for row in virtuals if row.org == after.org)
        changed = {
            **_columns(after), "enabled": int(after.enabled), "edition": after.edition,
            "editions": editions,
        }  # fmt: skip
        await self._write(after, Step("virtual.edit", changed, expect=1), *steps)

    async def _write(self, row: VirtualRow, *steps: Step) -> None:
        try:
            # First, so that of two daemons one waits: connections share the names.
            bump = Step("revision.bump", {"topic": "connections"})
            await self._db.org(row.org).write(bump, *steps)
        except UniqueViolation:
            raise Conflict(
                f'a virtual MCP "{row.name}" exists already',
                next=f"meshctl virtual show {row.name}",
            ) from None
        except ExpectFailed:
            raise Conflict(f'"{row.name}" changed meanwhile', next="meshctl virtual list") from None
        await self._directory.refresh()
        self._events.bell.ring()

    def _event(self, who: Principal, kind: str, row: VirtualRow, **more: str) -> Step:
        return self._events.step(who, f"virtual.{kind}", row.id, {"name": row.name, **more})

    def _find(self, who: Principal, name: str) -> VirtualRow:
        return find_virtual(self._directory.view, who.org, name)

    def _listed(self, child: str) -> Definitions | None:
        """What a connection last listed; None where that is not known, or it is none."""
        row = self._directory.view.connections.get(child)
        return self._tools.approved(row) if row is not None else None

    def _known(self, connection: str) -> Sequence[str]:
        listed = self._listed(connection)
        return tuple(listed.tools) if listed is not None else ()

    def _name(self, target: str) -> str:
        view = self._directory.view
        known = view.connections.get(target) or view.virtuals.get(target)
        return known.name if known is not None else target

    def _wire(self, row: VirtualRow) -> Virtual:
        return shown(self._directory.view.virtuals, row, self._name, self._known)


def _instructions(text: str | None) -> str | None:
    return check_text(text, "instructions", MAX_INSTRUCTIONS) if text else None


def _columns(row: VirtualRow) -> dict[str, str | None]:
    return {
        "id": row.id, "name": row.name, "description": row.description,
        "instructions": row.instructions, "mode": row.mode, "naming": row.naming,
    }  # fmt: skip


def _attach(row: VirtualRow, child: ChildRow) -> Step:
    return Step("virtual.attach", {"virtual_id": row.id, **stored_child(child)}, expect=1)

"""What changes behind a virtual MCP, told to who listens to it: lists, resources, the tree itself.

One ear at each HTTP connection hears for everybody who listens; stdio servers are heard anyway.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace

from msgspec import Raw

from meshd.core.tasks import TaskGroup
from meshd.protocol import jsonrpc
from meshd.protocol.members import members, text
from meshd.protocol.subscriptions import (
    CHANGES,
    UPDATED,
    Filter,
    acknowledgement,
    read_filter,
)
from meshd.services.composing import Thing
from meshd.services.directory import ConnectionRow, Directory
from meshd.services.served_lists import THINGS, ServedLists
from meshd.services.upstreams import Upstreams
from meshd.services.virtual_serving import VirtualServing, VirtualTarget
from meshd.wire.errors import MeshError, Unavailable

AGAIN = 30.0
"""Seconds after which an upstream that stopped telling is listened to again."""
LOOK = 60.0
"""Seconds after which the tree is looked at although nothing was told."""
MAX_WAITING = 1000
"""Updates of resources that wait for a slow listener; the oldest give way."""

_METHODS: dict[Thing, str] = {thing: method for method, thing in THINGS.items()}

_Routed = dict[str, tuple[ConnectionRow, list[str]]]
"""Resources by the id of the connection that has them."""
_Following = dict[str, tuple[ConnectionRow, list[str], asyncio.Task[None]]]
"""The same, and the task that hears of them."""


@dataclass(slots=True)
class _Heard:
    """What one listener has not been told yet."""

    lists: set[str] = field(default_factory=set)
    updates: deque[bytes] = field(default_factory=lambda: deque(maxlen=MAX_WAITING))
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    look: bool = False
    """Whether the snapshot is another one: what was decided may be decided otherwise."""

    def taken(self) -> list[bytes]:
        """All of it, once."""
        self.wake.clear()
        found = [jsonrpc.notification(method) for method in sorted(self.lists)]
        found += self.updates
        self.lists.clear()
        self.updates.clear()
        return found


@dataclass(slots=True)
class _Ear:
    task: asyncio.Task[None]
    listeners: int = 0


class Hearing:
    """Listens for all clients of virtual MCPs."""

    def __init__(
        self,
        upstreams: Upstreams,
        lists: ServedLists,
        virtuals: VirtualServing,
        directory: Directory,
    ) -> None:
        self._upstreams = upstreams
        self._lists = lists
        self._virtuals = virtuals
        self._directory = directory
        self._ears: dict[tuple[str, str], _Ear] = {}
        self._tasks = TaskGroup("hearing virtual")

    async def close(self) -> None:
        """Listen no more."""
        await self._tasks.stop()

    async def listen(
        self, target: VirtualTarget, wanted: Mapping[str, Raw]
    ) -> AsyncGenerator[bytes, None]:
        """Notifications of what is wanted, each list's no more often than it is taken."""
        asked = read_filter(wanted)
        by_row = await self._routed(target, asked.resources)
        uris = [uri for _, mine in by_row.values() for uri in mine]
        yield acknowledgement(Filter(asked.changes, uris))
        heard, node = _Heard(), target.node
        _, mode = present = self._virtuals.present(target)
        rows = node.connections()

        def take(connection: str, thing: Thing) -> None:
            method = _METHODS.get(thing)
            if connection in rows and method is not None and CHANGES[method] in asked.changes:
                heard.lists.add(method)
                heard.wake.set()

        stop, ears = self._lists.on_change(take), self._attend(rows.values(), asked)
        try:
            async with TaskGroup("hearing virtual") as tasks:
                following: _Following = {}
                self._follow(by_row, following, heard, tasks)
                tasks.start("news", self._news(heard))
                while True:
                    await heard.wake.wait()
                    for notification in heard.taken():
                        yield notification
                    with suppress(Unavailable):
                        present = self._virtuals.present(target)
                    if heard.look:
                        heard.look = False
                        found = await self._routed(replace(target, node=present[0]), uris)
                        self._follow(found, following, heard, tasks)
                    if present != (node, mode):
                        node, mode = present
                        rows = node.connections()
                        self._leave(ears)
                        ears = self._attend(rows.values(), asked)
                        heard.lists |= {
                            m for m, change in CHANGES.items() if change in asked.changes
                        }
                        heard.wake.set()
        finally:
            stop()
            self._leave(ears)

    async def _routed(self, target: VirtualTarget, uris: Iterable[str]) -> _Routed:
        """The resources that the principal may hear of, by the connection that has them."""
        found: _Routed = {}
        for uri in uris:
            try:
                reached = await self._virtuals.reach(target, "resource", uri)
            except Unavailable:
                continue  # what cannot be decided is not heard
            if reached is not None and reached.decision:
                found.setdefault(reached.row.id, (reached.row, []))[1].append(uri)
        return found

    async def _news(self, heard: _Heard) -> None:
        """Have the listener look at the tree whenever the snapshot is another one."""
        while True:
            before = self._directory.news.rung
            await self._directory.news.wait(LOOK, before)
            heard.look = True
            heard.wake.set()

    def _follow(
        self, by_row: _Routed, following: _Following, heard: _Heard, tasks: TaskGroup
    ) -> None:
        """Hear of these resources and no others any more."""
        for ident, (row, uris, task) in tuple(following.items()):
            if by_row.get(ident) != (row, uris):
                task.cancel()
                del following[ident]
        for ident, (row, uris) in by_row.items():
            if ident not in following:
                task = tasks.start(f"resources {row.name}", self._updates(row, uris, heard))
                following[ident] = row, uris, task

    async def _updates(self, row: ConnectionRow, uris: list[str], heard: _Heard) -> None:
        async for notification in self._notifications(row, Filter(set(), uris)):
            found = members(notification)
            uri = text(members(found.get("params", b"")).get("uri"))
            if text(found.get("method")) == UPDATED and uri in uris:
                heard.updates.append(notification)
                heard.wake.set()

    def _attend(self, rows: Iterable[ConnectionRow], asked: Filter) -> list[tuple[str, str]]:
        """Have an ear at each HTTP connection, for one listener more."""
        if not asked.changes:
            return []
        keys = []
        for row in rows:
            if row.transport == "stdio":
                continue
            key = (row.id, row.revision)
            if key not in self._ears:
                self._ears[key] = _Ear(self._tasks.start(f"ear {row.name}", self._ear(row)))
            self._ears[key].listeners += 1
            keys.append(key)
        return keys

    def _leave(self, keys: list[tuple[str, str]]) -> None:
        for key in keys:
            ear = self._ears[key]
            ear.listeners -= 1
            if not ear.listeners:
                ear.task.cancel()
                del self._ears[key]
        keys.clear()

    async def _ear(self, row: ConnectionRow) -> None:
        async for notification in self._notifications(row, Filter(set(CHANGES.values()))):
            method = text(members(notification).get("method")) or ""
            if method in CHANGES:
                self._upstreams.note_change(row, method)

    async def _notifications(
        self, row: ConnectionRow, wanted: Filter
    ) -> AsyncGenerator[bytes, None]:
        """What an upstream tells, for ever; one that fails costs only itself."""
        while True:
            with suppress(MeshError):
                adapter = await self._upstreams.adapter(row)
                async with aclosing(adapter.listen(wanted.as_members())) as heard:
                    async for notification in heard:
                        yield notification
            await asyncio.sleep(AGAIN)

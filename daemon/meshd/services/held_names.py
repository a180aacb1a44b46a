"""Who bears each name at virtual MCPs. Names in dispute are stored: a restart gives none away.

A name that nobody else wants is not stored: after a restart whoever has it is known again from the
lists that are. Which of several gets a name is decided in `composing`.
"""

import json
import logging
from collections.abc import Container, Mapping
from itertools import islice

from meshd.core.tasks import TaskGroup
from meshd.services.composing import Route, Thing
from meshd.services.virtual_tree import DEFAULT, Held
from meshd.store.db import Step, StoreError
from meshd.store.scoped import ScopedDatabase

log = logging.getLogger(__name__)

MAX_STORED = 1000
"""Names of one kind at one virtual MCP that are stored."""

_Names = dict[Thing, dict[str, Route]]


class HeldNames:
    """By org and virtual MCP."""

    def __init__(self, db: ScopedDatabase) -> None:
        self._db = db
        self._held: dict[str, Held] = {}
        self._stored: dict[tuple[str, str], _Names] = {}
        self._unwritten: set[tuple[str, str]] = set()
        self._tasks = TaskGroup("held names")

    async def load(self) -> None:
        """Read what was in dispute; called once at start."""
        for row in await self._db.all("virtual.names"):
            key = (row["org_id"], row["virtual_id"])
            found = json.loads(row["held"]).items()
            self._stored[key] = {
                thing: {name: Route(*each) for name, each in names.items()}
                for thing, names in found
            }
            for thing, names in self._stored[key].items():
                self.of(key[0])[key[1], thing] = names

    async def close(self) -> None:
        """End what is being written."""
        await self._tasks.stop()

    def of(self, org: str) -> Held:
        """Those of an org; brought up to date by whoever composes."""
        return self._held.setdefault(org, {})

    def forget(self, org: str, virtual: str, thing: Thing) -> None:
        """Keep no more than what is stored."""
        if (names := self._stored.get((org, virtual), {}).get(thing)) is not None:
            self.of(org)[virtual, thing] = names
        else:
            self.of(org).pop((virtual, thing), None)

    def keep_only(self, virtuals: Container[str]) -> None:
        """Forget those of all other virtual MCPs: they are no more."""
        for held in self._held.values():
            for key in [key for key in held if key[0] not in virtuals]:
                del held[key]
        self._stored = {key: names for key, names in self._stored.items() if key[1] in virtuals}
        self._unwritten &= self._stored.keys()

    def dispute(self, org: str, virtual: str, thing: Thing, bearers: Mapping[str, Route]) -> None:
        """Several things want these names, and these bear them."""
        if virtual == DEFAULT:
            return
        key = (org, virtual)
        before = self._stored.setdefault(key, {}).get(thing, {})
        now = {**before, **{name: Route(one.connection, one.name) for name, one in bearers.items()}}
        now = dict(islice(now.items(), MAX_STORED))
        if now != before or key in self._unwritten:
            self._stored[key][thing] = now
            self._unwritten.add(key)
            self._tasks.start(virtual, self._write(key))

    async def _write(self, key: tuple[str, str]) -> None:
        if key not in self._unwritten:
            return
        self._unwritten.discard(key)
        org, virtual = key
        names = {
            thing: {name: (one.connection, one.name) for name, one in found.items()}
            for thing, found in self._stored[key].items()
        }
        about = {"virtual_id": virtual, "held": json.dumps(names)}
        try:
            await self._db.org(org).write(Step("virtual.hold", about))
        except StoreError as error:
            self._unwritten.add(key)  # until it is composed again
            log.warning("who bears which name of %s could not be stored: %s", virtual, error)

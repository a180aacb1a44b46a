"""The settings in force while the daemon runs, and taking over changed ones.

What takes a changed setting over is handed in by the composition root; files are read elsewhere.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from meshd.core.config import SETTINGS, Config
from meshd.services.events import Events
from meshd.services.principal import Principal
from meshd.store.scoped import ScopedDatabase

log = logging.getLogger(__name__)

LIVE = frozenset(setting.env for setting in SETTINGS if setting.live)


@dataclass(frozen=True, slots=True)
class Reloaded:
    """Names of settings: what was taken over, and what waits for the next start."""

    changed: list[str]
    waiting: list[str]


class Settings:
    """Holds the settings in force. `takers` says, by name, who takes a changed one over.

    `who` is the local owner in the org whose events tell of changes.
    """

    def __init__(
        self,
        config: Config,
        db: ScopedDatabase,
        events: Events,
        who: Callable[[], Principal],
        takers: Mapping[str, Callable[[Config], None]],
    ) -> None:
        if takers.keys() != LIVE:
            raise LookupError(f"live settings and their takers differ: {takers.keys() ^ LIVE}")
        self.config = config
        self._db = db
        self._events = events
        self._who = who
        self._takers = takers

    async def reload(self, read: Config) -> Reloaded:
        """Take over what is live in `read`, and say so in an event; the rest stays as it was."""
        who = self._who()
        names = [setting.env for setting in SETTINGS]
        differ = [name for name in names if read.value(name) != self.config.value(name)]
        done = Reloaded([n for n in differ if n in LIVE], [n for n in differ if n not in LIVE])
        self.config = self.config.with_live(read)
        for name in done.changed:
            self._takers[name](self.config)
        log.info("read the settings again: changed %s", " ".join(done.changed) or "nothing")
        if done.waiting:
            log.warning("needs a restart: %s", " ".join(done.waiting))
        data = {"changed": done.changed, "needs_restart": done.waiting}
        await self._db.org(who.org).write(self._events.step(who, "config.reloaded", "meshd", data))
        return done

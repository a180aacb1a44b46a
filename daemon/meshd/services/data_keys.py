"""The vault's data keys, kept in step with the orgs: another daemon makes and removes them too."""

import logging
from collections.abc import Set as AbstractSet

from meshd.services.directory import stored_bytes
from meshd.store.scoped import ScopedDatabase
from meshd.vault.errors import VaultError
from meshd.vault.vault import Vault

log = logging.getLogger(__name__)


class DataKeys:
    """Loads the keys of orgs that appeared, and drops those of orgs that are gone."""

    def __init__(self, db: ScopedDatabase, vault: Vault) -> None:
        self._db = db
        self._vault = vault

    async def follow(self, before: AbstractSet[str], now: AbstractSet[str]) -> None:
        """Called with the ids of all orgs whenever they change, before anything is asked in one."""
        for org in before - now:
            self._vault.forget(org)
        if self._vault.locked or not now - before:
            return  # what unlocks it loads every key
        for key in await self._db.all("data_key.all"):
            if key["org_id"] in now - before:
                try:
                    self._vault.add_key(
                        stored_bytes(key["wrapped"]), key["org_id"], key["version"], key["sealed"]
                    )
                except VaultError as error:
                    log.warning("a data key of %s cannot be opened: %s", key["org_id"], error)

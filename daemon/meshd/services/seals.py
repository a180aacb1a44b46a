"""How often each data key has sealed: on record ahead of use, in batches, for every daemon alike.

A key with random nonces is good for a bounded number of seals (NIST SP 800-38D, section 8.3). What
a crash leaves unused of a batch counts as used: the number on record is never too low.
"""

import asyncio

from meshd.store.db import Step
from meshd.store.scoped import ScopedDatabase
from meshd.vault.vault import Vault

BATCH = 1000
"""Seals that are put on record at once."""


class Seals:
    """Gives leave to seal."""

    def __init__(self, db: ScopedDatabase, vault: Vault) -> None:
        self._db = db
        self._vault = vault
        self._left: dict[tuple[str, int], int] = {}
        self._one = asyncio.Lock()

    async def count(self, org: str) -> None:
        """One more seal of the org's newest data key, which is on record when this returns.

        Raises:
            NoKey: the org has no data key loaded.
        """
        async with self._one:
            version = self._vault.version(org)
            left = self._left.get((org, version), 0)
            if left == 0:
                row = {"version": version, "seals": BATCH}
                await self._db.org(org).write(Step("data_key.seals", row, expect=1))
                left = BATCH
            self._left[org, version] = left - 1

"""The first start: an installation id, the default org, the local owner."""

from collections.abc import Callable
from dataclasses import dataclass

from meshd.core.clock import Clock
from meshd.store.db import Step, UniqueViolation
from meshd.store.scoped import ScopedDatabase
from meshd.vault.vault import Vault
from meshd.wire.ids import new_id

DEFAULT_ORG = "default"


@dataclass(frozen=True, slots=True)
class Founding:
    """What every later start finds, and every other daemon on the same database.

    `vault` is locked: its keys are the matter of `unlocking`.
    """

    vault: Vault
    installation: str
    org: str
    owner: str
    owner_name: str


async def found(db: ScopedDatabase, clock: Clock, user_name: Callable[[], str]) -> Founding:
    """Read what the first start wrote, or write it.

    Of daemons that begin at the same time one founds, and the others find what it wrote.
    """
    row = await db.one("meta.get", name="installation")
    installation = row["value"] if row is not None else await _begin(db, clock, user_name())
    orgs, users = await db.all("org.all"), await db.all("user.all")
    vault = Vault(None, installation)
    return Founding(vault, installation, orgs[0]["id"], users[0]["id"], users[0]["name"])


async def _begin(db: ScopedDatabase, clock: Clock, user: str) -> str:
    """Found the installation, unless another daemon just did; its id."""
    installation, now = new_id("mesh"), clock.now()
    try:
        await db.write(
            Step("meta.add", {"name": "installation", "value": installation}),
            Step("org.add", {"id": new_id("org"), "name": DEFAULT_ORG, "now": now}),
            Step("user.add", {"id": new_id("usr"), "name": user, "now": now}),
        )
    except UniqueViolation:
        row = await db.one("meta.get", name="installation")
        if row is None:
            raise
        return str(row["value"])
    return installation

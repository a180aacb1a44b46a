"""The first start: an installation id, the default org, the local owner."""

from collections.abc import Callable
from dataclasses import dataclass

from meshd.core.clock import Clock
from meshd.store.db import Database, Step
from meshd.vault.vault import Vault
from meshd.wire.ids import new_id

DEFAULT_ORG = "default"


@dataclass(frozen=True, slots=True)
class Founding:
    """What every later start finds. `daemon` names this daemon in session tokens.

    `vault` is locked: its keys are the matter of `unlocking`.
    """

    vault: Vault
    daemon: str
    org: str
    owner: str
    owner_name: str


async def found(db: Database, clock: Clock, user_name: Callable[[], str]) -> Founding:
    """Read what the first start wrote, or write it."""
    row = await db.one("meta.get", name="installation")
    if row is not None:
        installation = row["value"]
    else:
        installation = new_id("mesh")
        await _begin(db, installation, clock, user_name())
    orgs, users = await db.all("org.all"), await db.all("user.all")
    vault = Vault(None, installation)
    return Founding(vault, installation, orgs[0]["id"], users[0]["id"], users[0]["name"])


async def _begin(db: Database, installation: str, clock: Clock, user: str) -> None:
    now = clock.now()
    await db.write(
        Step("meta.put", {"name": "installation", "value": installation}),
        Step("org.add", {"id": new_id("org"), "name": DEFAULT_ORG, "now": now}),
        Step("user.add", {"id": new_id("usr"), "name": user, "now": now}),
    )

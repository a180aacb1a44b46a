"""The first start: an installation id, the default org with its data key, the local owner."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from meshd.core.clock import Clock
from meshd.store.db import Step
from meshd.store.scoped import ScopedDatabase
from meshd.vault.errors import VaultError
from meshd.vault.master import load_or_create
from meshd.vault.vault import Vault
from meshd.wire.errors import Unavailable
from meshd.wire.ids import new_id

DEFAULT_ORG = "default"


@dataclass(frozen=True, slots=True)
class Founding:
    """What every later start finds. `daemon` names this daemon in session tokens."""

    vault: Vault
    daemon: str
    org: str
    owner: str
    owner_name: str


async def found(
    db: ScopedDatabase, master_key: Path, clock: Clock, user_name: Callable[[], str]
) -> Founding:
    """Read what the first start wrote, or write it; only the first start makes a master key.

    Raises:
        Unavailable: the master key is missing, unsafe, or another one than data was sealed with.
    """
    row = await db.one("meta.get", name="installation")
    if row is not None and not await asyncio.to_thread(master_key.exists):
        raise Unavailable("the vault's master key is gone", facts={"expected at": str(master_key)})
    try:
        master = load_or_create(master_key)
        if row is None:
            installation = new_id("mesh")
            await _begin(db, Vault(master, installation), installation, clock, user_name())
        else:
            installation = row["value"]
        vault = Vault(master, installation)
        for key in await db.all("data_key.all"):
            vault.add_key(bytes(key["wrapped"]), key["org_id"], key["version"])
    except VaultError as error:
        raise Unavailable(
            "the vault cannot be opened", facts={"why": str(error)}, next="meshctl doctor"
        ) from None
    orgs, users = await db.all("org.all"), await db.all("user.all")
    return Founding(vault, installation, orgs[0]["id"], users[0]["id"], users[0]["name"])


async def _begin(
    db: ScopedDatabase, vault: Vault, installation: str, clock: Clock, user: str
) -> None:
    org, now = new_id("org"), clock.now()
    version, wrapped, _ = vault.new_org_key(org)
    await db.org(org).write(
        Step("meta.put", {"name": "installation", "value": installation}),
        Step("org.add", {"id": org, "name": DEFAULT_ORG, "now": now}),
        Step("user.add", {"id": new_id("usr"), "name": user, "now": now}),
        Step("data_key.add", {"org_id": org, "version": version, "wrapped": wrapped, "now": now}),
    )

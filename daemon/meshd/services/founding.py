"""The first start: an installation id, the default org with its data key, the local owner."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from meshd.core.clock import Clock
from meshd.store.db import Step, UniqueViolation
from meshd.store.scoped import ScopedDatabase
from meshd.vault.errors import UnknownKey, VaultError
from meshd.vault.master import MasterKey, load_or_create
from meshd.vault.vault import Vault
from meshd.wire.errors import Unavailable
from meshd.wire.ids import new_id

DEFAULT_ORG = "default"
COPY = "copy the key file (mode 0600) of the home that the data comes from, or that shares it"


@dataclass(frozen=True, slots=True)
class Founding:
    """What every later start finds, and every other daemon on the same database."""

    vault: Vault
    installation: str
    org: str
    owner: str
    owner_name: str


async def found(
    db: ScopedDatabase, master_key: Path, clock: Clock, user_name: Callable[[], str]
) -> Founding:
    """Read what the first start wrote, or write it; only the first start makes a master key.

    Of daemons that begin at the same time one founds, and the others find what it wrote.

    Raises:
        Unavailable: the master key is missing, unsafe, or another one than data was sealed with.
    """
    row = await db.one("meta.get", name="installation")
    if row is not None and not await asyncio.to_thread(master_key.exists):
        raise Unavailable(
            "the vault's master key is gone", facts={"expected at": str(master_key), "do": COPY}
        )
    try:
        master = load_or_create(master_key)
        if row is None:
            installation = await _begin(db, master, clock, user_name())
        else:
            installation = row["value"]
        vault = Vault(master, installation)
        for key in await db.all("data_key.all"):
            vault.add_key(bytes(key["wrapped"]), key["org_id"], key["version"])
    except UnknownKey as error:
        facts = {"key file": str(master_key), "why": str(error), "do": COPY}
        raise Unavailable(
            "the data was sealed with another master key", facts=facts, next="meshctl doctor"
        ) from None
    except VaultError as error:
        raise Unavailable(
            "the vault cannot be opened", facts={"why": str(error)}, next="meshctl doctor"
        ) from None
    orgs, users = await db.all("org.all"), await db.all("user.all")
    return Founding(vault, installation, orgs[0]["id"], users[0]["id"], users[0]["name"])


async def _begin(db: ScopedDatabase, master: MasterKey, clock: Clock, user: str) -> str:
    """Found the installation, unless another daemon just did; its id."""
    installation, org, now = new_id("mesh"), new_id("org"), clock.now()
    version, wrapped, _ = Vault(master, installation).new_org_key(org)
    try:
        await db.org(org).write(
            Step("meta.add", {"name": "installation", "value": installation}),
            Step("org.add", {"id": org, "name": DEFAULT_ORG, "now": now}),
            Step("user.add", {"id": new_id("usr"), "name": user, "now": now}),
            Step(
                "data_key.add",
                {"org_id": org, "version": version, "wrapped": wrapped, "now": now},
            ),
        )
    except UniqueViolation:
        row = await db.one("meta.get", name="installation")
        if row is None:
            raise
        return str(row["value"])
    return installation

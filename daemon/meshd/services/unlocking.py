"""Opening the vault: at the start from its source, or while the daemon runs because somebody asks.

A key fits when it opens a data key, or when it is the one on record; where nothing was ever sealed
any key does. What does not open under a key that fits was tampered with, and is one org's trouble
alone. A key given by hand is written nowhere.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from meshd.core.clock import Clock
from meshd.core.secret import Secret
from meshd.services.directory import stored_bytes
from meshd.services.rate_limit import Bucket
from meshd.store.db import Row, Step, StoreError, UniqueViolation
from meshd.store.scoped import ScopedDatabase
from meshd.vault.box import UnknownKey
from meshd.vault.errors import VaultError, WrongMasterKey
from meshd.vault.master import MasterKey, decode
from meshd.vault.sources.environment import WEAK
from meshd.vault.sources.source import Source
from meshd.vault.vault import Vault, wrapped_under
from meshd.wire.errors import BadRequest, Locked, RateLimited

log = logging.getLogger(__name__)

RECORD = "master_key"
"""The name under which the id of the master key is on record."""
UNLOCK = "meshctl vault unlock"
TRIES = 10
"""Attempts a minute: each may run a program, and none should be a way to try many keys."""


class Sealed(NamedTuple):
    """What the database knows of keys: the rows of wrapped ones, and the master key on record."""

    rows: Sequence[Row]
    record: str | None

    @property
    def begun(self) -> bool:
        """Whether anything may have been sealed."""
        return bool(self.rows) or self.record is not None


class Unlocking:
    """Whether the vault is locked, why, and what opens it.

    `opened` is called in the moment it opens. `broken` says of each data key (org, version) that
    the master key does not open why not.
    """

    def __init__(
        self,
        db: ScopedDatabase,
        vault: Vault,
        installation: str,
        sources: Sequence[Source],
        clock: Clock,
        opened: Callable[[], None] = lambda: None,
    ) -> None:
        self.source, *passed = sources
        self.passed_over = [source.name for source in passed]
        self.by_hand = False
        self.broken: dict[tuple[str, int], str] = {}
        self.opened = opened
        self._db = db
        self._vault = vault
        self._installation = installation
        self._clock = clock
        self._one = asyncio.Lock()
        self._why = "no master key was asked for yet"
        self._wrong: WrongMasterKey | None = None
        self._bucket = Bucket(TRIES, clock.monotonic())

    @property
    def why(self) -> str | None:
        """Why it is locked; None when it is not."""
        return self._why if self._vault.locked else None

    def locked(self) -> Locked:
        """What to answer while it is locked."""
        facts = {"why": self._why, "source": f"{self.source.name} ({self.source.place})"}
        return Locked(facts={**facts, **_ids(self._wrong)}, next=UNLOCK)

    async def begin(self) -> None:
        """Ask the source, once, at the start. What goes wrong is kept as `why`."""
        if self.passed_over:
            log.warning(
                "the master key comes from the %s alone; passed over: %s",
                self.source.name, ", ".join(self.passed_over),
            )  # fmt: skip
        try:
            await self._ask_source()
        except VaultError as error:
            log.error("the vault is locked: %s", error)  # noqa: TRY400 - a sentence for operators

    async def unlock(self, text: Secret | None) -> None:
        """Try a key given by hand, or ask the source again; nothing where it is open already.

        Raises:
            RateLimited: there were too many attempts.
            BadRequest: the text is no master key.
            Locked: it stays so, with the ids of the keys where one was wrong.
        """
        if not self._vault.locked:
            return
        wait = self._bucket.take(self._clock.monotonic(), TRIES)
        if wait:
            raise RateLimited(
                "too many attempts to unlock", facts={"retry_after_s": str(int(wait) + 1)}
            )
        try:
            if text is None:
                await self._ask_source()
            else:
                await self._try(text)
        except VaultError as error:
            log.warning("the vault stays locked: %s", error)
            wrong = error if isinstance(error, WrongMasterKey) else None
            raise Locked(
                f"the vault stays locked: {error}", facts=_ids(wrong), next=f"{UNLOCK} @FILE"
            ) from None

    async def sealed(self) -> Sealed:
        """What is on record."""
        record = await self._db.one("meta.get", name=RECORD)
        rows = await self._db.all("data_key.all")
        return Sealed(rows, record["value"] if record else None)

    async def follow(self, before: AbstractSet[str], now: AbstractSet[str]) -> None:
        """Keep the data keys in step with the orgs, which another daemon makes and removes too.

        Called with the ids of all orgs whenever they change, before anything is asked in one.
        """
        for org in before - now:
            self._vault.forget(org)
        self.broken = {key: why for key, why in self.broken.items() if key[0] in now}
        if not self._vault.locked and now - before:  # what unlocks it loads every key
            rows = (await self.sealed()).rows
            self.broken |= _load(self._vault, [row for row in rows if row["org_id"] not in before])

    async def _ask_source(self) -> None:
        async with self._one:
            if not self._vault.locked:
                return
            try:
                present = await self.sealed()
                await self._open(await self.source.key(create=not present.begun))
            except VaultError as error:
                self._why = str(error)
                self._wrong = error if isinstance(error, WrongMasterKey) else None
                raise
            self.by_hand = False
            if self.source.name == "environment":
                log.warning("%s", WEAK)

    async def _try(self, text: Secret) -> None:
        master = decode(text.reveal().strip().encode("utf-8", "surrogatepass"))
        if master is None:
            raise BadRequest("this is no master key", next="meshctl help vault")
        async with self._one:
            if self._vault.locked:
                await self._open(master)
                self.by_hand = True

    async def _open(self, master: MasterKey) -> None:
        """Load the data keys under this master key; make those that are missing, and open.

        Raises:
            WrongMasterKey: it is not the one that data was sealed with.
        """
        while True:
            trial = Vault(master, self._installation)
            present = await self.sealed()
            _check(trial, present)
            try:
                await self._complete(trial, present)
            except UniqueViolation:
                continue  # another daemon was first: its keys are the ones
            break
        self.broken, self._wrong = _load(trial, (await self.sealed()).rows), None
        self._vault.adopt(trial)
        log.info("the vault is open: master key %s", master.id.hex())
        self.opened()
        try:  # what another daemon added meanwhile; what it adds from now on is followed
            _load(self._vault, (await self.sealed()).rows)
        except StoreError as error:
            log.warning("data keys could not be read again: %s", error)

    async def _complete(self, trial: Vault, present: Sealed) -> None:
        """Put the master key on record, then give every org without one a data key.

        Raises:
            UniqueViolation: another daemon did, perhaps with another master key.
        """
        if present.record != trial.master_id.hex():
            record = {"name": RECORD, "value": trial.master_id.hex()}
            await self._db.write(Step("meta.put" if present.record else "meta.add", record))
        have, now = {row["org_id"] for row in present.rows}, self._clock.now()
        for org in await self._db.all("org.all"):
            if org["id"] not in have:
                version, wrapped, _ = trial.new_org_key(org["id"])
                row = {"version": version, "wrapped": wrapped, "now": now}
                await self._db.org(org["id"]).write(Step("data_key.add", row))


def _check(trial: Vault, present: Sealed) -> None:
    fits = (
        not present.begun
        or present.record == trial.master_id.hex()
        or any(
            trial.opens(stored_bytes(r["wrapped"]), r["org_id"], r["version"]) for r in present.rows
        )
    )
    if not fits:
        raise WrongMasterKey(trial.master_id, map(bytes.fromhex, _needed(present)))


def _load(trial: Vault, rows: Sequence[Row]) -> dict[tuple[str, int], str]:
    """Add every data key that opens; why the others do not."""
    broken = {}
    for row in rows:
        org, version = row["org_id"], row["version"]
        try:
            trial.add_key(stored_bytes(row["wrapped"]), org, version, row["sealed"])
        except UnknownKey as error:
            broken[org, version] = f"it names the master key {error.key_id}."
        except VaultError as error:
            broken[org, version] = str(error)
    for (org, version), why in broken.items():
        log.error("data key %d of %s cannot be opened: %s", version, org, why)
    return broken


def _needed(present: Sealed) -> set[str]:
    """The ids of the master keys that would fit; what is no wrapped key any more names none."""
    if present.record:
        return {present.record}
    needed = set()
    for row in present.rows:
        with contextlib.suppress(VaultError):
            needed.add(wrapped_under(stored_bytes(row["wrapped"])))
    return needed


def _ids(wrong: WrongMasterKey | None) -> dict[str, str]:
    return {} if wrong is None else {"key id": wrong.given, "needed": " ".join(wrong.needed)}

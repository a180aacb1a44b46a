"""How the vault stands, and whether everything in it opens: ids, counts and reasons, no values."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping

from meshd.core.clock import iso
from meshd.services.credentials import Credentials
from meshd.services.directory import stored_bytes
from meshd.services.unlocking import UNLOCK, Unlocking
from meshd.services.webhook_seals import WebhookSeals
from meshd.services.webhooks import TABLE as WEBHOOKS
from meshd.store.db import Row
from meshd.store.scoped import ScopedDatabase
from meshd.vault.errors import VaultError
from meshd.vault.vault import ROTATE_AT, Vault
from meshd.wire.daemon import Problem
from meshd.wire.vault import (
    DataKey,
    MasterKeySource,
    OrgVault,
    Unopened,
    VaultStatus,
    VaultVerified,
    Verified,
)

FORMAT = "meshctl-master-key-1, AES-256-GCM"
CREDENTIALS, DATA_KEYS, SUBSCRIPTIONS = "credentials", "data_keys", "subscriptions"
AT_ONCE = 500
"""Values that are opened before others have their turn on the event loop."""


class VaultReport:
    """Reads what the database and the open vault know."""

    def __init__(
        self,
        db: ScopedDatabase,
        vault: Vault,
        unlocking: Unlocking,
        credentials: Credentials,
        webhooks: WebhookSeals,
    ) -> None:
        self._db = db
        self._vault = vault
        self._unlocking = unlocking
        self._credentials = credentials
        self._webhooks = webhooks

    async def status(self) -> VaultStatus:
        """Source, keys, counts; what is wrong, and what to do about it."""
        sealed = await self._unlocking.sealed()
        counts = await self._db.all("credential.count")
        rows = {row["org_id"]: int(row["n"]) for row in counts}
        webhooks = Counter((row["org_id"], table) for table, row, _, _ in await self._of_webhooks())
        orgs = [
            OrgVault(
                org=org["id"], name=org["name"],
                data_keys=[self._data_key(r) for r in sealed.rows if r["org_id"] == org["id"]],
                sealed={CREDENTIALS: rows.get(org["id"], 0)}
                | {table: n for (of, table), n in webhooks.items() if of == org["id"]},
            )
            for org in await self._db.all("org.all")
        ]  # fmt: skip
        locked = self._unlocking.why
        source = self._unlocking.source
        return VaultStatus(
            state="open" if locked is None else "locked",
            reason=locked,
            source=MasterKeySource(
                name=source.name, place=source.place, passed_over=list(self._unlocking.passed_over)
            ),
            by_hand=self._unlocking.by_hand,
            key_id=None if self._vault.locked else self._vault.master_id.hex(),
            needed=sealed.record,
            format=FORMAT,
            orgs=orgs,
            problems=list(self._problems(locked, orgs)),
        )

    async def verify(self) -> VaultVerified:
        """Open every data key and every value, drop what was opened, and count.

        Raises:
            Locked: there is no key to open anything with.
        """
        if self._unlocking.why is not None:
            raise self._unlocking.locked()
        names = {org["id"]: org["name"] for org in await self._db.all("org.all")}
        seen: Counter[tuple[str, str]] = Counter()
        failures = []
        for row in (await self._unlocking.sealed()).rows:
            org, version = row["org_id"], row["version"]
            seen[org, DATA_KEYS] += 1
            if not self._vault.opens(stored_bytes(row["wrapped"]), org, version):
                why = self._unlocking.broken.get((org, version), "it does not open.")
                failures.append(
                    Unopened(org=org, table=DATA_KEYS, row=str(version), field="", reason=why)
                )
        for number, row in enumerate(await self._db.all("credential.all"), 1):
            seen[row["org_id"], CREDENTIALS] += 1
            reason = self._reason(row)
            if reason is not None:
                field = f"{row['kind']}:{row['name']}"
                where = row["connection_id"]
                failures.append(
                    Unopened(
                        org=row["org_id"], table=CREDENTIALS, row=where, field=field, reason=reason
                    )
                )
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        for table, row, field, blob in await self._of_webhooks():
            seen[row["org_id"], table] += 1
            try:
                self._webhooks.check(row["org_id"], row["id"], field, blob, table)
            except VaultError as error:
                failures.append(
                    Unopened(
                        org=row["org_id"], table=table, row=row["id"], field=field,
                        reason=str(error),
                    )
                )  # fmt: skip
        return VaultVerified(counts=_counts(seen, failures, names), failures=failures)

    async def _of_webhooks(self) -> list[tuple[str, Row, str, bytes]]:
        """What is sealed of webhooks, out and in: the table, the row, which field, the blob."""
        return [
            (table, row, field, stored_bytes(row[field]))
            for table, query, fields in (
                (SUBSCRIPTIONS, "subscription.all", ("url", "secret", "old_secret")),
                (WEBHOOKS, "webhook.all", ("secret", "secret_before")),
            )
            for row in await self._db.all(query)
            for field in fields
            if row[field] is not None
        ]

    def _reason(self, row: Row) -> str | None:
        """Why a value does not open; None when it does."""
        try:
            self._credentials.check(
                row["org_id"],
                row["connection_id"],
                row["kind"],
                row["name"],
                stored_bytes(row["blob"]),
            )
        except VaultError as error:
            return str(error)
        return None

    def _data_key(self, row: Row) -> DataKey:
        why = self._unlocking.broken.get((row["org_id"], row["version"]))
        state = "locked" if self._vault.locked else "open" if why is None else "broken"
        return DataKey(
            version=row["version"], state=state, reason=why, seals=row["sealed"],  # type: ignore[arg-type]
            rotation_due=row["sealed"] >= ROTATE_AT, created_at=iso(row["created_at"]),
        )  # fmt: skip

    def _problems(self, locked: str | None, orgs: list[OrgVault]) -> Iterator[Problem]:
        if locked is not None:
            yield Problem(message=f"the vault is locked: {locked}", next=UNLOCK)
        if self._unlocking.by_hand:
            yield Problem(
                message="the key was given by hand: the next start locks again, unless the source "
                f"({self._unlocking.source.name}) has it",
                next="meshctl help vault",
            )
        for org in orgs:
            for key in org.data_keys:
                what = f'data key {key.version} of org "{org.name}"'
                if key.state == "broken":
                    yield Problem(
                        message=f"{what} does not open: {key.reason}", next="meshctl vault verify"
                    )
                if key.rotation_due:
                    yield Problem(
                        message=f"{what} has sealed {key.seals} times and is to be rotated",
                        next="meshctl help vault",
                    )


def _counts(
    seen: Mapping[tuple[str, str], int], failures: list[Unopened], names: Mapping[str, str]
) -> list[Verified]:
    failed = Counter((one.org, one.table) for one in failures)
    return [
        Verified(
            org=org, name=names.get(org, org), table=table,
            opened=n - failed[org, table], failed=failed[org, table],
        )
        for (org, table), n in sorted(seen.items())
    ]  # fmt: skip

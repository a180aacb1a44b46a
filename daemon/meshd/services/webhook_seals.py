"""URLs and secrets of webhooks, out and in: sealed, and opened for the one request."""

from meshd.core.secret import Secret
from meshd.services.seals import Seals
from meshd.services.subscription_rows import SubscriptionRow
from meshd.vault.vault import Vault

TABLE = "subscriptions"


class WebhookSeals:
    """Blobs are bound to their row and column."""

    def __init__(self, vault: Vault, seals: Seals) -> None:
        self._vault = vault
        self._seals = seals

    async def seal(
        self, org: str, row: str, field: str, value: Secret, table: str = TABLE
    ) -> bytes:
        """The blob of a URL or a secret, of a subscription unless another table is said.

        Raises:
            VaultError: the org's data key is not loaded, or spent.
        """
        await self._seals.count(org)
        return self._vault.seal(org, table, row, field, value)

    def url(self, row: SubscriptionRow) -> Secret:
        """Where to. Raises VaultError where it does not open."""
        return self._vault.open(row.org, TABLE, row.id, "url", row.url or b"")

    def secret(self, row: SubscriptionRow) -> Secret:
        """What signs. Raises as `url`."""
        return self._vault.open(row.org, TABLE, row.id, "secret", row.secret or b"")

    def secrets(self, row: SubscriptionRow, now: int) -> list[Secret]:
        """What signs now: while a secret is replaced, the one before too. Raises as `url`."""
        if row.old_secret is None or row.old_until is None or row.old_until <= now:
            return [self.secret(row)]
        before = self._vault.open(row.org, TABLE, row.id, "old_secret", row.old_secret)
        return [self.secret(row), before]

    def opened(self, org: str, row: str, field: str, blob: bytes, table: str = TABLE) -> Secret:
        """One value, for the one request that needs it. Raises as `open`."""
        return self._vault.open(org, table, row, field, blob)

    def check(self, org: str, row: str, field: str, blob: bytes, table: str = TABLE) -> None:
        """Open a sealed value and drop it. Raises as `open`."""
        self._vault.open(org, table, row, field, blob)

"""URLs and signing secrets of outgoing webhooks: sealed, and opened for the one request."""

from meshd.core.secret import Secret
from meshd.services.seals import Seals
from meshd.services.subscription_rows import SubscriptionRow
from meshd.vault.vault import Vault

TABLE = "subscriptions"


class WebhookSeals:
    """Blobs are bound to their subscription and column."""

    def __init__(self, vault: Vault, seals: Seals) -> None:
        self._vault = vault
        self._seals = seals

    async def seal(self, org: str, subscription: str, field: str, value: Secret) -> bytes:
        """The blob of a URL or a secret.

        Raises:
            VaultError: the org's data key is not loaded, or spent.
        """
        await self._seals.count(org)
        return self._vault.seal(org, TABLE, subscription, field, value)

    def open(self, row: SubscriptionRow) -> tuple[Secret, Secret]:
        """URL and secret. Raises VaultError where they do not open."""
        url = self._vault.open(row.org, TABLE, row.id, "url", row.url or b"")
        return url, self._vault.open(row.org, TABLE, row.id, "secret", row.secret or b"")

    def check(self, org: str, subscription: str, field: str, blob: bytes) -> None:
        """Open a sealed value and drop it. Raises as `open`."""
        self._vault.open(org, TABLE, subscription, field, blob)

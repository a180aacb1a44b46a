"""Inbound webhooks as the snapshot holds them."""

from dataclasses import dataclass, field

from meshd.bus.hook_signatures import Signature
from meshd.services.principal import Principal
from meshd.services.subscription_rows import read_maker
from meshd.store.db import Row


@dataclass(frozen=True, slots=True)
class WebhookRow:
    """A webhook that comes in. Until `before_until` the secret before counts as well."""

    id: str
    org: str
    name: str
    signature: Signature
    type: str | None
    secret: bytes = field(repr=False)
    secret_before: bytes | None = field(repr=False)
    before_until: int | None
    maker: Principal
    state: str
    reason: str | None
    created_at: int
    edition: int

    @property
    def source(self) -> str:
        """The source of its events."""
        return f"webhook:{self.name}"


def from_stored(row: Row) -> WebhookRow:
    """The row of the table. A secret that is no bytes any more opens nowhere."""
    secret, before = row["secret"], row["secret_before"]
    return WebhookRow(
        id=row["id"],
        org=row["org_id"],
        name=row["name"],
        signature=row["signature"],
        type=row["type"],
        secret=secret if isinstance(secret, bytes) else b"",
        secret_before=before if isinstance(before, bytes) else None,
        before_until=row["before_until"],
        maker=read_maker(row),
        state=row["state"],
        reason=row["reason"],
        created_at=row["created_at"],
        edition=row["edition"],
    )

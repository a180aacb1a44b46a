"""Inbound webhooks: where other services send their events, signed in their own ways."""

from typing import Literal

from msgspec import Struct

Signature = Literal["github", "stripe", "slack", "standard"]


class Webhook(Struct, kw_only=True):
    """A webhook that comes in at `url`. `maker` is whose scope it publishes under.

    `type` is that of its events; without it the name and what the sender calls them. Until
    `old_secret_until` the secret before counts as well.
    """

    id: str
    name: str
    state: str
    reason: str | None = None
    signature: Signature
    type: str | None = None
    url: str
    source: str
    old_secret_until: str | None = None
    maker: str
    owner: str
    created_at: str


class WebhookRef(Struct):
    """Names one webhook by name or id."""

    webhook: str


class WebhookEdit(Struct, kw_only=True):
    """Gives it another owner: `me`, or the id of whoever asks. It runs with their rights then."""

    webhook: str
    owner: str


class WebhookList(Struct, kw_only=True):
    """Newest first."""

    limit: int = 50


class WebhookNew(Struct, kw_only=True):
    """`signing` is the secret that the sender signs with."""

    name: str
    signature: Signature
    signing: str
    type: str | None = None


class WebhookRotate(Struct, kw_only=True):
    """Another secret; the one before counts for `keep` longer, a duration."""

    webhook: str
    signing: str
    keep: str = "24h"

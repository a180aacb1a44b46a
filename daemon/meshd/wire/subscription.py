"""Subscriptions: who hears which events, and how they are handed over."""

from msgspec import Raw, Struct, field

from meshd.wire.empty import null


class Target(Struct, kw_only=True, omit_defaults=True):
    """A connection's tool `ON_EVENTS`; any tool with a template of arguments; or a URL."""

    connection: str | None = None
    tool: str | None = None
    arguments: Raw | None = None
    webhook: str | None = None


class Subscription(Struct, kw_only=True):
    """A subscription. `maker` is whose scope it runs under; `publisher` the source that it hears.

    `held_back`: its target fails so that it is only probed.
    """

    id: str
    name: str
    state: str
    reason: str | None = None
    types: list[str]
    publisher: str | None = None
    filter: Raw | None = None
    target: Target
    maker: str
    owner: str
    held_back: bool
    created_at: str


class SubscriptionAdded(Subscription, kw_only=True):
    """The answer that holds the signing secret of a webhook, once."""

    secret: str


class SubscriptionRef(Struct):
    """Names one subscription by name or id."""

    subscription: str


class SubscriptionAdd(Struct, kw_only=True):
    """`connection` alone hands events to its tool ON_EVENTS; with `tool` and `arguments`, any tool.

    `filter` entries are CloudEvents filters in JSON, or `attribute=value` with a `*` at one end.
    `publisher` is a key, a connection, or a source.
    """

    types: list[str]
    connection: str
    tool: str | None = None
    arguments: Raw = field(default_factory=null)
    name: str | None = None
    publisher: str | None = None
    filter: list[str] = []


class WebhookAdd(Struct, kw_only=True):
    """As `SubscriptionAdd`, for a URL."""

    types: list[str]
    webhook: str
    name: str | None = None
    publisher: str | None = None
    filter: list[str] = []

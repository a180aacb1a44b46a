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

    `held_back`: its target fails so that it is only probed. `connection_id` is the one whose tool
    ON_EVENTS it hands events to.
    """

    id: str
    name: str
    state: str
    reason: str | None = None
    types: list[str]
    publisher: str | None = None
    filter: Raw | None = None
    target: Target
    ordered_by: str | None = None
    connection_id: str | None = None
    maker: str
    owner: str
    held_back: bool
    created_at: str
    changed_at: str | None = None


class SubscriptionAdded(Subscription, kw_only=True):
    """The answer that holds the signing secret of a webhook, once."""

    secret: str


class SubscriptionRef(Struct):
    """Names one subscription by name or id."""

    subscription: str


class SubscriptionRemove(Struct, kw_only=True):
    """`mine`: only if it was made with a key of the connection whose key asks."""

    subscription: str
    mine: bool = False


class SubscriptionAdd(Struct, kw_only=True):
    """`connection` alone hands events to its tool ON_EVENTS; with `tool` and `arguments`, any tool.

    `filter` entries are CloudEvents filters in JSON, or `attribute=value` with a `*` at one end.
    `publisher` is a key, a connection, or a source. `once`: one that is like it is the answer.
    Deliveries whose events have the same value at `ordered_by`, which is an attribute or
    `data.PATH`, go one after the other.
    """

    types: list[str]
    connection: str
    tool: str | None = None
    arguments: Raw = field(default_factory=null)
    name: str | None = None
    publisher: str | None = None
    filter: list[str] = []
    once: bool = False
    ordered_by: str | None = None


class WebhookAdd(Struct, kw_only=True):
    """As `SubscriptionAdd`, for a URL."""

    types: list[str]
    webhook: str
    name: str | None = None
    publisher: str | None = None
    filter: list[str] = []
    ordered_by: str | None = None


class SubscriptionEdit(Struct, kw_only=True):
    """Gives it another owner: `me`, or the id of whoever asks. It runs with their rights then."""

    subscription: str
    owner: str


class SecretRotate(Struct, kw_only=True):
    """`keep`: how long the secret of now signs as well, such as `24h`."""

    subscription: str
    keep: str = "24h"


class Wish(Struct, kw_only=True):
    """What a connection wants to hear; as in `SubscriptionAdd`."""

    types: list[str]
    publisher: str | None = None
    filter: list[str] = []


class SubscriptionSync(Struct):
    """All that a connection's tool ON_EVENTS is to be called for.

    It is about what was subscribed so far with the connection's own keys, if such a key asks, and
    else about what was subscribed by others.
    """

    connection: str
    subscriptions: list[Wish]


class Synced(Struct):
    """How many it took, and those that there are now."""

    created: int
    updated: int
    deleted: int
    unchanged: int
    subscriptions: list[Subscription]

"""Deliveries: one event for one subscription, and the attempts to hand it over."""

from msgspec import Struct


class Delivery(Struct, kw_only=True):
    """One event for one subscription.

    `state`: `waiting` is due at a later moment, `next_at`: scheduled, or before its next try;
    `ready` is due, and goes out in its turn (a paused, failing or busy subscriber, or an earlier
    event of the same key, may hold it up); `inflight` is being tried; `done`; `dead` was given up;
    `cancelled`; `expired` could not be delivered for too long. `event_id`, and `event` as well, is
    the publisher's id of the event.
    """

    id: str
    event_id: str
    state: str
    event: str
    type: str
    source: str
    subscription: str
    subscription_id: str
    attempt: int
    replays: int
    error: str | None = None
    next_at: str | None = None
    created_at: str
    ended_at: str | None = None


class Attempt(Struct, kw_only=True):
    """`fence` grows with each claim; `status` is of HTTP, where there is one."""

    fence: int
    attempt: int
    outcome: str
    status: int | None = None
    error: str | None = None
    started_at: str
    duration_ms: float
    daemon: str


class DeliveryDetail(Delivery, kw_only=True):
    """A delivery with its attempts, the first one first."""

    attempts: list[Attempt]


class DeliveryRef(Struct):
    """Names one delivery by id."""

    delivery: str


class DeliveryList(Struct, kw_only=True):
    """Newest first."""

    state: str | None = None
    subscription: str | None = None
    event: str | None = None
    limit: int = 50


class DeadList(Struct, kw_only=True):
    """Deliveries that are dead or expired, newest first."""

    subscription: str | None = None
    limit: int = 50


class DeadChoice(Struct, kw_only=True):
    """One dead or expired delivery by id, or all of them."""

    delivery: str | None = None
    all: bool = False

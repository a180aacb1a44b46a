"""Calls about subscriptions."""

from meshd.wire import event as e
from meshd.wire import subscription as s
from meshd.wire.calls.row import Call
from meshd.wire.connection import Removed
from meshd.wire.empty import Nothing

LIST = Call(
    "subscription.list",
    "GET",
    "/v1/subscriptions",
    Nothing,
    list[s.Subscription],
    "org",
    "List subscriptions.",
)
SHOW = Call(
    "subscription.show",
    "GET",
    "/v1/subscriptions/{subscription}",
    s.SubscriptionRef,
    s.Subscription,
    "org",
    "Show one subscription.",
)
ADD = Call(
    "subscription.add",
    "POST",
    "/v1/subscriptions",
    s.SubscriptionAdd,
    s.Subscription,
    "org",
    "Hand events to a tool.",
)
ADD_WEBHOOK = Call(
    "subscription.add_webhook",
    "POST",
    "/v1/webhook-subscriptions",
    s.WebhookAdd,
    s.SubscriptionAdded,
    "org",
    "Send events to a URL; the signing secret is shown once.",
    secret=True,
)
PAUSE = Call(
    "subscription.pause",
    "POST",
    "/v1/subscriptions/{subscription}/pause",
    s.SubscriptionRef,
    s.Subscription,
    "org",
    "Let deliveries wait, and hear nothing new.",
)
RESUME = Call(
    "subscription.resume",
    "POST",
    "/v1/subscriptions/{subscription}/resume",
    s.SubscriptionRef,
    s.Subscription,
    "org",
    "Deliver and hear again.",
)
REMOVE = Call(
    "subscription.remove",
    "DELETE",
    "/v1/subscriptions/{subscription}",
    s.SubscriptionRemove,
    Removed,
    "org",
    "Remove a subscription; what waits for it is cancelled.",
)
TEST = Call(
    "subscription.test",
    "POST",
    "/v1/subscriptions/{subscription}/test",
    s.SubscriptionRef,
    e.Published,
    "org",
    "Send it one event, whatever it subscribes to.",
)

EDIT = Call(
    "subscription.edit",
    "PATCH",
    "/v1/subscriptions/{subscription}",
    s.SubscriptionEdit,
    s.Subscription,
    "org",
    "Take a subscription over: it runs with one's own rights, and hears again.",
)
ROTATE_SECRET = Call(
    "subscription.rotate_secret",
    "POST",
    "/v1/subscriptions/{subscription}/rotate-secret",
    s.SecretRotate,
    s.SubscriptionAdded,
    "org",
    "Sign with a new secret, and for a while with the one before as well.",
    secret=True,
)
SYNC = Call(
    "subscription.sync",
    "POST",
    "/v1/subscriptions-sync",
    s.SubscriptionSync,
    s.Synced,
    "org",
    "Bring the subscriptions of a connection to what it wants.",
    destroys=True,
    idempotent=True,
)

CALLS = (LIST, SHOW, ADD, ADD_WEBHOOK, PAUSE, RESUME, REMOVE, TEST, EDIT, ROTATE_SECRET, SYNC)

"""Calls about inbound webhooks."""

from meshd.wire import webhook as w
from meshd.wire.calls.row import Call
from meshd.wire.connection import Removed

LIST = Call(
    "webhook.list",
    "GET",
    "/v1/webhooks",
    w.WebhookList,
    list[w.Webhook],
    "org",
    "List inbound webhooks.",
)
SHOW = Call(
    "webhook.show",
    "GET",
    "/v1/webhooks/{webhook}",
    w.WebhookRef,
    w.Webhook,
    "org",
    "Show one inbound webhook.",
)
ADD = Call(
    "webhook.add",
    "POST",
    "/v1/webhooks",
    w.WebhookNew,
    w.Webhook,
    "org",
    "Take events of another service, at a URL of their own.",
)
PAUSE = Call(
    "webhook.pause",
    "POST",
    "/v1/webhooks/{webhook}/pause",
    w.WebhookRef,
    w.Webhook,
    "org",
    "Answer as if it were not there.",
)
RESUME = Call(
    "webhook.resume",
    "POST",
    "/v1/webhooks/{webhook}/resume",
    w.WebhookRef,
    w.Webhook,
    "org",
    "Take events again.",
)
ROTATE = Call(
    "webhook.rotate",
    "POST",
    "/v1/webhooks/{webhook}/rotate",
    w.WebhookRotate,
    w.Webhook,
    "org",
    "Give it another secret; the one before counts for a while.",
    destroys=True,
)
EDIT = Call(
    "webhook.edit",
    "PATCH",
    "/v1/webhooks/{webhook}",
    w.WebhookEdit,
    w.Webhook,
    "org",
    "Take an inbound webhook over: it runs with one's own rights, and takes events again.",
)
REMOVE = Call(
    "webhook.remove",
    "DELETE",
    "/v1/webhooks/{webhook}",
    w.WebhookRef,
    Removed,
    "org",
    "Remove an inbound webhook; nothing comes in at its URL any more.",
)

CALLS = (LIST, SHOW, ADD, PAUSE, RESUME, EDIT, ROTATE, REMOVE)

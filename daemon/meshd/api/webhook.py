"""Handlers of calls about inbound webhooks."""

from collections.abc import Mapping

from meshd.api.dispatch import Handler
from meshd.services.webhooks import Webhooks


def handlers(webhooks: Webhooks) -> Mapping[str, Handler]:
    """By call name."""
    return {
        "webhook.list": webhooks.all,
        "webhook.show": lambda who, asked: webhooks.show(who, asked.webhook),
        "webhook.add": webhooks.add,
        "webhook.pause": lambda who, asked: webhooks.pause(who, asked.webhook),
        "webhook.resume": lambda who, asked: webhooks.resume(who, asked.webhook),
        "webhook.rotate": webhooks.rotate,
        "webhook.edit": webhooks.edit,
        "webhook.remove": lambda who, asked: webhooks.remove(who, asked.webhook),
    }

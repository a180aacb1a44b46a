"""Handlers of calls about events, deliveries and subscriptions, but for following events."""

from collections.abc import Mapping

from meshd.api.dispatch import Handler
from meshd.services.deliveries import Deliveries
from meshd.services.publishing import Publishing
from meshd.services.subscriptions import Subscriptions


def handlers(
    publishing: Publishing, subscriptions: Subscriptions, deliveries: Deliveries
) -> Mapping[str, Handler]:
    """By call name."""
    return {
        "event.publish": publishing.publish,
        "event.publish_as": publishing.publish_as,
        "event.list": deliveries.events,
        "event.show": lambda who, asked: deliveries.event(who, asked.event),
        "event.retry": lambda who, asked: deliveries.retry(who, asked.event),
        "event.replay": lambda who, asked: deliveries.replay(who, asked.event),
        "event.cancel": deliveries.cancel,
        "event.ack": deliveries.ack,
        "event.stats": lambda who, _: deliveries.stats(who),
        "event.dead_list": deliveries.dead,
        "event.dead_retry": deliveries.dead_retry,
        "event.dead_drop": deliveries.dead_drop,
        "delivery.list": deliveries.all,
        "delivery.show": lambda who, asked: deliveries.show(who, asked.delivery),
        "subscription.list": lambda who, _: subscriptions.all(who),
        "subscription.show": lambda who, asked: subscriptions.show(who, asked.subscription),
        "subscription.add": subscriptions.add,
        "subscription.add_webhook": subscriptions.add_webhook,
        "subscription.pause": lambda who, asked: subscriptions.pause(who, asked.subscription),
        "subscription.resume": lambda who, asked: subscriptions.resume(who, asked.subscription),
        "subscription.remove": subscriptions.remove,
        "subscription.edit": subscriptions.edit,
        "subscription.rotate_secret": subscriptions.rotate_secret,
        "subscription.sync": subscriptions.sync,
        "subscription.test": lambda who, asked: subscriptions.test(who, asked.subscription),
    }

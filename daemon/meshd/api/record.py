"""Handlers of calls about call records and events."""

from collections.abc import Mapping

from meshd.api.dispatch import Handler
from meshd.services.events import Events
from meshd.services.records import Records


def handlers(records: Records, events: Events) -> Mapping[str, Handler]:
    """By call name."""
    return {
        "call.list": records.all,
        "call.show": lambda who, asked: records.show(who, asked.call),
        "call.tail": records.tail,
        "event.tail": events.tail,
    }

"""Handlers of calls about keys."""

from collections.abc import Mapping

from meshd.api.dispatch import Handler
from meshd.services.keys import Keys


def handlers(keys: Keys) -> Mapping[str, Handler]:
    """By call name."""
    return {
        "key.list": lambda who, _: keys.all(who),
        "key.show": lambda who, asked: keys.show(who, asked.key),
        "key.add": keys.add,
        "key.edit": keys.edit,
        "key.rotate": lambda who, asked: keys.rotate(who, asked.key),
        "key.revoke": lambda who, asked: keys.revoke(who, asked.key),
    }

"""Handlers of calls about orgs."""

from collections.abc import Mapping

from meshd.api.dispatch import Handler
from meshd.services.orgs import Orgs


def handlers(orgs: Orgs) -> Mapping[str, Handler]:
    """By call name."""
    return {
        "org.list": lambda who, _: orgs.all(who),
        "org.show": lambda who, asked: orgs.show(who, asked.org),
        "org.create": orgs.create,
        "org.rename": orgs.rename,
        "org.remove": lambda who, asked: orgs.remove(who, asked.org),
    }

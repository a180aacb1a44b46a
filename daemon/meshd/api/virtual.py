"""Handlers of calls about virtual MCPs."""

from collections.abc import Mapping

from meshd.api.dispatch import Handler
from meshd.services.virtuals import Virtuals


def handlers(virtuals: Virtuals) -> Mapping[str, Handler]:
    """By call name."""
    return {
        "virtual.list": lambda who, _: virtuals.all(who),
        "virtual.show": lambda who, asked: virtuals.show(who, asked.virtual),
        "virtual.create": virtuals.create,
        "virtual.edit": virtuals.edit,
        "virtual.attach": virtuals.attach,
        "virtual.detach": lambda who, asked: virtuals.detach(who, asked.virtual, asked.child),
        "virtual.enable": lambda who, asked: virtuals.enable(who, asked.virtual, enabled=True),
        "virtual.disable": lambda who, asked: virtuals.enable(who, asked.virtual, enabled=False),
        "virtual.remove": lambda who, asked: virtuals.remove(who, asked.virtual),
    }

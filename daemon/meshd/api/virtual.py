"""Handlers of calls about virtual MCPs."""

from collections.abc import Mapping

from meshd.api.dispatch import Handler
from meshd.services.principal import Principal
from meshd.services.virtual_serving import VirtualServing
from meshd.services.virtual_sizes import sizes
from meshd.services.virtuals import Virtuals
from meshd.wire.virtual import Virtual, VirtualShow


def handlers(virtuals: Virtuals, serving: VirtualServing) -> Mapping[str, Handler]:
    """By call name."""

    async def show(who: Principal, asked: VirtualShow) -> Virtual:
        shown = virtuals.show(who, asked.virtual)
        if asked.sizes:
            shown.sizes = await sizes(serving, who, shown.id)
        return shown

    return {
        "virtual.list": lambda who, _: virtuals.all(who),
        "virtual.show": show,
        "virtual.create": virtuals.create,
        "virtual.edit": virtuals.edit,
        "virtual.attach": virtuals.attach,
        "virtual.detach": lambda who, asked: virtuals.detach(who, asked.virtual, asked.child),
        "virtual.enable": lambda who, asked: virtuals.enable(who, asked.virtual, enabled=True),
        "virtual.disable": lambda who, asked: virtuals.enable(who, asked.virtual, enabled=False),
        "virtual.remove": lambda who, asked: virtuals.remove(who, asked.virtual),
    }

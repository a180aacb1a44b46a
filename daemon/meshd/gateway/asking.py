"""A decided request put to its upstream, whichever era and transport that speaks."""

from collections.abc import Mapping

from msgspec import Raw

from meshd.gateway.exchange import Exchange
from meshd.proxy.adapter import Answer, Asker, Hear
from meshd.services.tools import Tools
from meshd.services.upstreams import Upstreams
from meshd.services.virtual_rows import VIRTUAL


async def asked(
    upstreams: Upstreams,
    tools: Tools,
    exchange: Exchange,
    params: Mapping[str, Raw],
    asker: Asker,
    hear: Hear,
) -> Answer:
    """The answer; asked again of an upstream that broke off, where that is allowed.

    Raises:
        UpstreamFailed, UpstreamTimeout, NeedsLogin: there is none.
    """
    row, method, wanted = exchange.row, exchange.message.method, exchange.wanted

    async def send() -> Answer:
        return await (await upstreams.adapter(row)).ask(method, params, asker, hear)

    if row.transport == VIRTUAL:  # which asks again at its child, where it knows whether it may
        return await send()
    tool = wanted.name if wanted is not None else ""
    return await upstreams.recovered(row, send, repeatable=tools.may_repeat(row, method, tool))

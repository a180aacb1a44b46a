"""What a virtual MCP's list of tools costs its clients, in each of its modes."""

from typing import get_args

from meshd.protocol.members import joined
from meshd.services import smart_tools
from meshd.services.definitions import tokens_of
from meshd.services.principal import Principal
from meshd.services.virtual_rows import Mode
from meshd.services.virtual_serving import VirtualServing
from meshd.wire.virtual import ListSize

MODES: tuple[Mode, ...] = get_args(Mode)


async def sizes(serving: VirtualServing, who: Principal, name: str) -> dict[str, ListSize]:
    """By mode: the list as the principal would get it at present.

    Raises:
        NotFound, Denied, Unavailable: there is none, or not for this principal, or not now.
    """
    target = serving.find(who, name)
    allowed, _ = await serving.allowed(target, "tool")
    measured: dict[str, ListSize] = {}
    for mode in MODES:
        entries = smart_tools.offered(mode, allowed.exposed)
        measured[mode] = ListSize(
            tools=len(entries),
            bytes=len(joined({"tools": entries})),
            tokens=sum(map(tokens_of, entries)),
        )
    return measured

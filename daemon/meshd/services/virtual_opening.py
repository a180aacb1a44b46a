"""Everything that serves virtual MCPs, wired together; and asked for wherever upstreams are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from meshd.core.clock import Clock
from meshd.proxy.adapter import Adapter
from meshd.services.child_lists import ChildLists
from meshd.services.directory import ConnectionRow, Directory
from meshd.services.encoded_lists import EncodedLists
from meshd.services.health import Health
from meshd.services.held_names import HeldNames
from meshd.services.records import Records
from meshd.services.served_lists import ServedLists
from meshd.services.tool_calls import ToolCalls
from meshd.services.tools import Tools
from meshd.services.upstreams import Upstreams
from meshd.services.virtual_adapter import VirtualAdapter
from meshd.services.virtual_hearing import Hearing
from meshd.services.virtual_serving import VirtualServing, VirtualTarget
from meshd.services.virtual_tools import VirtualTools
from meshd.store.scoped import ScopedDatabase


@dataclass(frozen=True, slots=True)
class OpenVirtuals:
    """What others need of it."""

    serving: VirtualServing
    tools: VirtualTools
    served: ServedLists
    encoded: EncodedLists


@asynccontextmanager
async def open_virtuals(
    db: ScopedDatabase,
    directory: Directory,
    upstreams: Upstreams,
    tools: Tools,
    calls: ToolCalls,
    health: Health,
    records: Records,
    clock: Clock,
) -> AsyncIterator[OpenVirtuals]:
    """Serve virtual MCPs until the block is left."""
    served = ServedLists(tools, upstreams, health, clock)
    lists = ChildLists(served)
    encoded = EncodedLists()
    names = HeldNames(db)
    await names.load()
    serving = VirtualServing(directory, tools, lists, names)
    hearing = Hearing(upstreams, served, serving, directory)

    def composed(row: ConnectionRow) -> Adapter:
        target = cast("VirtualTarget", row)  # no other row has that transport
        return VirtualAdapter(target, serving, encoded, upstreams, health, hearing, clock)

    upstreams.compose_by(composed)
    try:
        yield OpenVirtuals(serving, VirtualTools(serving, calls, records, clock), served, encoded)
    finally:
        await hearing.close()
        await served.close()
        await names.close()

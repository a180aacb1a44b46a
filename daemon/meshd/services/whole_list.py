"""One whole list of an upstream, asked for page by page. What is made of it is told elsewhere."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec
from msgspec import Raw

from meshd.protocol import jsonrpc
from meshd.protocol.members import UNREADABLE, members
from meshd.protocol.translation import code_of
from meshd.services.composing import Thing
from meshd.services.directory import ConnectionRow
from meshd.services.upstreams import Upstreams
from meshd.wire.errors import UpstreamFailed, UpstreamTimeout

MAX_PAGES = 200
MAX_LIST = 16 * 1024 * 1024
"""Bytes of a whole list."""
LIST_DEADLINE = 60.0
"""Seconds that a whole list may take."""

METHODS: Mapping[Thing, tuple[str, str]] = MappingProxyType(
    {
        "tool": ("tools/list", "tools"),
        "prompt": ("prompts/list", "prompts"),
        "resource": ("resources/list", "resources"),
        "template": ("resources/templates/list", "resourceTemplates"),
    }
)
"""How each kind is listed, and the member that holds its entries."""
_CAPABILITY: Mapping[Thing, str] = MappingProxyType(
    {"prompt": "prompts", "resource": "resources", "template": "resources"}
)
_OURS = frozenset({"nextCursor", "resultType", "ttlMs", "cacheScope"})


@dataclass(frozen=True, slots=True)
class WholeList:
    """All entries as they came, what the first page said besides, and seconds that they hold."""

    entries: list[Raw]
    rest: Mapping[str, Raw]
    ttl: float | None


async def whole_list(
    upstreams: Upstreams, row: ConnectionRow, thing: Thing, *, within: float = LIST_DEADLINE
) -> WholeList:
    """Ask for all of it, for at most `within` seconds. What is not offered is an empty list.

    Raises:
        UpstreamFailed, NeedsLogin, UpstreamTimeout, Conflict: it could not be had.
    """
    method, member = METHODS[thing]
    entries: list[Raw] = []
    rest: dict[str, Raw] = {}
    ttls: list[float] = []
    params, size, end = b"{}", 0, time.monotonic() + within
    if thing in _CAPABILITY and not await _offers(upstreams, row, thing, within):
        return WholeList(entries, rest, None)
    for _ in range(MAX_PAGES):
        left = end - time.monotonic()
        reply = await upstreams.request(row, method, params, within=left)
        if reply.result is None:
            if code_of(reply.error or b"") == jsonrpc.METHOD_NOT_FOUND:
                break
            raise UpstreamFailed(f'"{row.name}" refused {method}')
        size += len(reply.result)
        if size > MAX_LIST:
            raise UpstreamFailed(f'"{row.name}" lists more than {MAX_LIST >> 20} MiB')
        page = members(reply.result)
        try:
            entries += msgspec.json.decode(page[member], type=list[Raw])
            cursor = msgspec.json.decode(page.get("nextCursor", b"null"), type=str | None)
        except (*UNREADABLE, KeyError):
            raise UpstreamFailed(f'"{row.name}" sent a list that cannot be read') from None
        rest = rest or {name: said for name, said in page.items() if name not in {*_OURS, member}}
        if (ttl := _ttl(page)) is not None:
            ttls.append(ttl)
        if not cursor:
            break
        params = msgspec.json.encode({"cursor": cursor})
    return WholeList(entries, rest, min(ttls, default=None))


async def _offers(upstreams: Upstreams, row: ConnectionRow, thing: Thing, within: float) -> bool:
    try:
        async with asyncio.timeout(within):
            said = members(await upstreams.initialize_result(row))
    except TimeoutError:
        raise UpstreamTimeout(f'"{row.name}" did not answer within {within:.0f} s') from None
    return _CAPABILITY[thing] in members(said.get("capabilities", b""))


def _ttl(page: Mapping[str, Raw]) -> float | None:
    """Seconds that the server wants it kept for, where it says so."""
    try:
        said = msgspec.json.decode(page.get("ttlMs", b"null"))
    except UNREADABLE:
        return None
    known = isinstance(said, int | float) and not isinstance(said, bool) and said >= 0
    return said / 1000 if known else None

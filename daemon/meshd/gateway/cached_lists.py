"""`tools/list` of one connection as encoded bytes, for all who may see the same.

Clients share the list that the daemon itself was given; a cursor, and a session that was told of
changes of its own, go to the upstream.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from msgspec import Raw

from meshd.core.clock import MICROSECONDS, Clock
from meshd.gateway import answers
from meshd.gateway.apart import SessionsApart
from meshd.gateway.exchange import Exchange
from meshd.protocol import jsonrpc
from meshd.protocol.members import joined, members
from meshd.protocol.translation import handshake_result
from meshd.protocol.versions import era_of
from meshd.services.access import decide, scope_at
from meshd.services.definitions import Definition, Definitions
from meshd.services.directory import ConnectionRow
from meshd.services.principal import Principal
from meshd.services.served_lists import ASLEEP, ServedLists, Tooled
from meshd.services.upstreams import Upstreams
from meshd.services.virtual_rows import VIRTUAL
from meshd.wire.errors import MeshError

MAX_KEPT = 32 * 1024 * 1024
"""Bytes that are kept of all lists; those used longest ago give way."""

STARTING = "starting"
"""Why the list of a server may be old that was asleep."""

Key = tuple[str, bool, bool, frozenset[str], bool]
"""Connection, eras of the client and of the upstream, grants and whether they only read."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A result without its last brace, and what it was made of."""

    raw: bytes
    rest: Mapping[str, Raw]
    head: bytes


class CachedLists:
    """Answers `tools/list`."""

    def __init__(
        self, served: ServedLists, upstreams: Upstreams, apart: SessionsApart, clock: Clock
    ) -> None:
        self._served = served
        self._upstreams = upstreams
        self._apart = apart
        self._clock = clock
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._size = 0

    async def answer(self, exchange: Exchange) -> web.Response | None:
        """The answer; None where the upstream itself has to be asked."""
        message, row = exchange.message, exchange.row
        if message.method != "tools/list" or not message.is_request or row.transport == VIRTUAL:
            return None
        if message.params and bytes(members(message.params).get("cursor", b"null")) != b"null":
            return None
        if not row.pinned and self._apart.holds(exchange.session):
            return None
        ident = bytes(message.id)
        try:
            served = await self._served.get(row)
        except MeshError as error:
            return answers.rpc_failure(error, ident)
        if served.reason == ASLEEP:  # whoever lists a server's own tools is about to use it
            self._served.warm(row)
            served = served._replace(reason=STARTING)
        return answers.message(jsonrpc.success(ident, self._result(exchange, served)))

    def _result(self, exchange: Exchange, served: Tooled) -> bytes:
        head, listed, more = self._head(exchange, served.listed), served.listed, b""
        age = max(0, self._clock.now() - listed.listed_at) / MICROSECONDS
        if exchange.envelope is not None:
            left = max(0.0, listed.ttl - age) if listed.ttl and not served.reason else 0.0
            more = b',"resultType":"complete","ttlMs":%d,"cacheScope":"private"' % (left * 1000)
        body = head + more + b"}"
        if served.reason is None:
            return body
        mark = {"connection": exchange.row.name, "reason": served.reason, "age_s": int(age)}
        found = members(body)
        meta = members(found.get("_meta", b""))
        return joined({**found, "_meta": {**meta, "meshctl/stale": [mark]}})

    def _head(self, exchange: Exchange, listed: Definitions) -> bytes:
        who, row = exchange.who, exchange.row
        scope = scope_at(who, row.id)
        stateless = exchange.envelope is not None
        foreign = not stateless and era_of(self._upstreams.protocol(row) or "") == "stateless"
        grants = frozenset() if scope.all else scope.grants
        key = (row.id, stateless, foreign, grants, who.read_only)
        kept = self._kept.get(key)
        if kept is not None and kept.raw is listed.raw and kept.rest == listed.rest:
            self._kept.move_to_end(key)
            return kept.head
        shown = listed if scope.all and not who.read_only else _allowed(who, row, listed)
        result = joined({"tools": Raw(shown.raw), **listed.rest})
        if foreign:
            result = handshake_result("tools/list", result)
        self._keep(key, _Kept(listed.raw, listed.rest, result[:-1]))
        return result[:-1]

    def _keep(self, key: Key, made: _Kept) -> None:
        before = self._kept.pop(key, None)
        self._size += len(made.head) - (len(before.head) if before is not None else 0)
        self._kept[key] = made
        while self._size > MAX_KEPT:
            _, gone = self._kept.popitem(last=False)
            self._size -= len(gone.head)


def _allowed(who: Principal, row: ConnectionRow, listed: Definitions) -> Definitions:
    return listed.only({
        name for name, tool in listed.tools.items() if _may_call(who, row, tool)
    })  # fmt: skip


def _may_call(who: Principal, row: ConnectionRow, tool: Definition) -> bool:
    return bool(decide(who, row.id, "tool", tool.name, reads_only=lambda: tool.read_only))

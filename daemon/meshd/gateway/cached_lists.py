"""`tools/list` of one connection as encoded bytes, for all who may see the same.

Clients share the list that the daemon itself was given; a cursor, and a session that was told of
changes of its own, go to the upstream.
"""

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
from meshd.services.encoded_lists import EncodedLists
from meshd.services.principal import Principal
from meshd.services.served_lists import ASLEEP, ServedLists, Tooled
from meshd.services.upstreams import Upstreams
from meshd.services.virtual_rows import VIRTUAL
from meshd.wire.errors import MeshError

STARTING = "starting"
"""Why the list of a server may be old that was asleep."""

Key = tuple[str, bool, bool, frozenset[str], bool]
"""Connection, eras of the client and of the upstream, grants and whether they only read."""


class CachedLists:
    """Answers `tools/list`."""

    def __init__(
        self,
        served: ServedLists,
        encoded: EncodedLists,
        upstreams: Upstreams,
        apart: SessionsApart,
        clock: Clock,
    ) -> None:
        self._served = served
        self._encoded = encoded
        self._upstreams = upstreams
        self._apart = apart
        self._clock = clock

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
        """The result without its last brace."""
        who, row = exchange.who, exchange.row
        scope = scope_at(who, row.id)
        stateless = exchange.envelope is not None
        foreign = not stateless and era_of(self._upstreams.protocol(row) or "") == "stateless"
        grants = frozenset() if scope.all else scope.grants
        key: Key = (row.id, stateless, foreign, grants, who.read_only)
        kept = self._encoded.get(key)
        if kept is not None and kept.made_of == (listed.raw, listed.rest):
            return kept.data
        shown = listed if scope.all and not who.read_only else _allowed(who, row, listed)
        result = joined({"tools": Raw(shown.raw), **listed.rest})
        if foreign:
            result = handshake_result("tools/list", result)
        self._encoded.keep(key, (listed.raw, listed.rest), result[:-1])
        return result[:-1]


def _allowed(who: Principal, row: ConnectionRow, listed: Definitions) -> Definitions:
    return listed.only({
        name for name, tool in listed.tools.items() if _may_call(who, row, tool)
    })  # fmt: skip


def _may_call(who: Principal, row: ConnectionRow, tool: Definition) -> bool:
    return bool(decide(who, row.id, "tool", tool.name, reads_only=lambda: tool.read_only))

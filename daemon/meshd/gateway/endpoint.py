"""`/mcp/{connection}`: one MCP endpoint per connection, for clients of both eras.

Source: MCP 2025-11-25 and 2026-07-28, Transports, Streamable HTTP.
"""

import time
from dataclasses import replace
from functools import partial
from urllib.parse import unquote

from aiohttp import web

from meshd.core import trace_context
from meshd.core.answers import JSON
from meshd.core.clock import Clock
from meshd.gateway import answers
from meshd.gateway.cached_lists import CachedLists
from meshd.gateway.exchange import Exchange
from meshd.gateway.passing import HttpPassing, OtherEra
from meshd.gateway.plain import WORD, PlainCalls
from meshd.gateway.policy import DECIDING, judge, wish
from meshd.gateway.selfs import SelfServing
from meshd.gateway.serving import SharedServing
from meshd.gateway.sessions import Sessions
from meshd.gateway.sse_clients import WORD as WORD_OF_SSE
from meshd.gateway.sse_clients import SseClient, SseClients
from meshd.gateway.stateless import Stateless
from meshd.gateway.virtual_policy import asked_by, judge_virtual
from meshd.protocol import jsonrpc, versions
from meshd.protocol.envelope import (
    HEADER_MISMATCH,
    VERSION,
    Envelope,
    Refused,
    check_version,
    opened,
)
from meshd.protocol.strict import check_members
from meshd.services.access import Decision, permission_set, scope_at
from meshd.services.directory import ConnectionRow, Directory
from meshd.services.failures import failure
from meshd.services.grants import SELF
from meshd.services.lookup import find_connection
from meshd.services.management import Management, check_holds_self, self_row
from meshd.services.principal import Principal
from meshd.services.rate_limit import RateLimit
from meshd.services.record_rows import Stopwatch
from meshd.services.records import Records
from meshd.services.refusals import denied, no_grant
from meshd.services.tool_calls import ToolCalls
from meshd.services.tools import Tools
from meshd.services.virtual_rows import VIRTUAL
from meshd.services.virtual_serving import VirtualServing, VirtualTarget
from meshd.services.virtual_tools import VirtualTools
from meshd.wire.errors import (
    Conflict,
    MeshError,
    MethodNotAllowed,
    NotFound,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)

ENVELOPE = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})


class Endpoint:
    """Decides about each message and hands it to the connection's transport."""

    def __init__(
        self,
        directory: Directory,
        sessions: Sessions,
        tools: Tools,
        calls: ToolCalls,
        records: Records,
        lists: CachedLists,
        passing: HttpPassing,
        serving: SharedServing,
        stateless: Stateless,
        management: Management,
        clock: Clock,
        limit: RateLimit,
        virtuals: VirtualServing,
        virtual_tools: VirtualTools,
    ) -> None:
        self._directory = directory
        self._virtuals = virtuals
        self._sessions = sessions
        self._tools = tools
        self._records = records
        self._lists = lists
        self._passing = passing
        self._serving = serving
        self._stateless = stateless
        self._sse = SseClients(serving, sessions)
        self._selfs = SelfServing(sessions, management)
        self._plain = PlainCalls(self.find, calls, virtual_tools, management, limit)
        self._clock = clock
        self._limit = limit

    async def handle(
        self, request: web.BaseRequest, who: Principal, raw_name: str, started: float
    ) -> web.StreamResponse:
        """Answer one HTTP request to `/mcp/{raw_name}`; without a name, to `/mcp`.

        Raises:
            MeshError: it is refused before a message was read.
        """
        if WORD in f"/{raw_name}":
            return await self._plain.handle(request, who, raw_name)
        if request.method == "POST":
            self._limit.check(who)
        if f"/{raw_name}".endswith(WORD_OF_SSE):
            return await self._over_sse(request, who, raw_name, started)
        row = self.find(who, raw_name)
        if request.method == "POST":
            return await self._post(request, who, row, started)
        version = request.headers.get("MCP-Protocol-Version")
        if _is_stateless(version):
            raise MethodNotAllowed
        session = self._sessions.open(request.headers.get("Mcp-Session-Id"), who, row)
        if request.method == "GET" and row.transport != SELF:
            if row.transport == "http" and not (session is not None and session.client):
                return await self._passing.stream(
                    request, who, row, session, version, partial(self._admitted, who, row)
                )
            return await self._serving.stream(
                request, who, row, session, partial(self._admitted, who, row)
            )
        if request.method == "DELETE" and session is not None:
            self._sessions.end(session)
            self._serving.forget(session)
            if row.transport == "http":
                await self._passing.end(row, session, version)
            return web.Response(status=204)
        raise MethodNotAllowed

    async def _over_sse(
        self, request: web.BaseRequest, who: Principal, raw_name: str, started: float
    ) -> web.StreamResponse:
        """The stream of a client of the transport before, or a message for it."""
        row = self.find(who, f"/{raw_name}".removesuffix(WORD_OF_SSE)[1:])
        if request.method == "GET":
            return await self._sse.stream(request, who, row, partial(self._admitted, who, row))
        ident = request.rel_url.query.get("session")
        if request.method != "POST" or ident is None:
            raise MethodNotAllowed  # which tells a client that tries both transports
        return await self._post(request, who, row, started, self._sse.of(ident, who, row))

    async def handle_local(self, request: web.BaseRequest, who: Principal) -> web.StreamResponse:
        """The same for the bridge on the Unix socket, where who asks is known already."""
        try:
            name = request.rel_url.raw_path.removeprefix("/mcp").removeprefix("/")
            return await self.handle(request, who, name, time.perf_counter())
        except ConnectionError:
            return answers.gone(request)
        except Exception as error:  # noqa: BLE001 - whatever it is, it has an answer
            return answers.rpc_error(failure(error, f"{request.method} {request.path}"))

    @property
    def open_streams(self) -> int:
        """Subscriptions that are followed."""
        return len(self._stateless.streams)

    def end_streams(self) -> None:
        """End the subscriptions: the daemon stops, and they never end by themselves.

        Nor is anything done any more for clients that went away.
        """
        self._stateless.streams.end()
        self._passing.absences.end()
        self._serving.patience.end()

    def _admitted(self, who: Principal, row: ConnectionRow) -> bool:
        """Whether a stream may go on: nothing that it was opened under has changed.

        A client whose stream ends opens another, and is then judged anew.
        """
        present = who.present()
        if present is None or permission_set(present) != permission_set(who):
            return False
        if row.transport == SELF:
            return True
        if isinstance(row, VirtualTarget):
            return self._virtuals.serves(row)
        now = self._directory.view.connections.get(row.id)
        same = now is not None and (now.revision, now.trust) == (row.revision, row.trust)
        return same and now is not None and now.enabled

    def find(self, who: Principal, raw_name: str) -> ConnectionRow:
        """The connection of that name or id, percent-encoded; `self` is one as well.

        So is a virtual MCP, and for no name the org's default one.

        Raises:
            NotFound: there is none.
            Denied: the principal holds no grant there.
            Unavailable: it is disabled.
        """
        name = unquote(raw_name)
        if name.casefold() == SELF:
            check_holds_self(who)
            return self_row(who.org)
        try:
            row = find_connection(self._directory.view, who.org, name, suggest=False)
        except NotFound:
            return self._virtuals.find(who, name)
        if not scope_at(who, row.id).any:
            raise no_grant(who, row)
        if not row.enabled:
            raise Unavailable(
                f'connection "{row.name}" is disabled', next=f"meshctl connection enable {row.name}"
            )
        return row

    async def _post(
        self,
        request: web.BaseRequest,
        who: Principal,
        row: ConnectionRow,
        started: float,
        over: SseClient | None = None,
    ) -> web.StreamResponse:
        if request.content_type != JSON:
            raise UnsupportedMedia
        version = request.headers.get("MCP-Protocol-Version") if over is None else None
        stateless = _is_stateless(version)
        token = None if stateless else request.headers.get("Mcp-Session-Id")
        session = self._sessions.open(token, who, row) if over is None else over.session
        mode = request.query.get("mode") if row.transport == VIRTUAL else None
        body = await request.read()
        if (present := who.present()) is None:
            raise Unauthenticated  # the body was long in coming
        who = present
        if isinstance(row, VirtualTarget):
            row = asked_by(row, who, mode, session, stateless=stateless)
        watch = Stopwatch(self._clock.now(), started, received=time.perf_counter())
        try:
            message = jsonrpc.parse(body)
            check_members(body, ENVELOPE)
            if message.params:
                check_members(bytes(message.params), DECIDING)
        except jsonrpc.BadMessage as error:
            return answers.bad_message(error)
        try:
            envelope = self._envelope(request, message, version)
        except jsonrpc.BadMessage as error:
            return answers.bad_message(error, bytes(message.id))
        if stateless and envelope is None:
            return answers.accepted()  # nothing that a client tells there has to reach a server
        exchange = Exchange(
            request, who, row, session, version, message, body, watch, envelope=envelope,
            voice=over,
        )  # fmt: skip
        if over is not None:
            return self._sse.take(over, exchange, partial(self._decide, exchange))
        return await self._decide(exchange)

    def _envelope(
        self, request: web.BaseRequest, message: jsonrpc.Message, version: str | None
    ) -> Envelope | None:
        """What a request of the stateless era says of itself; None for other messages.

        Raises:
            BadMessage: it breaks the rules of that era.
        """
        if version is not None and _is_stateless(version):
            if message.is_request:
                found = request.headers
                return opened(message, lambda name: found.getall(name, ()))
            check_version(version)
        elif message.method == "server/discover" or (
            version is None and VERSION.encode() in bytes(message.params)
        ):
            raise Refused(HEADER_MISMATCH, "the header MCP-Protocol-Version is missing")
        return None

    async def _decide(self, exchange: Exchange) -> web.StreamResponse:
        who, row, message = exchange.who, exchange.row, exchange.message
        if row.transport == SELF:
            return await self._selfs.answer(exchange)
        stateless = exchange.envelope is not None
        if message.is_request:
            try:
                decision = await self._judge(exchange)
            except jsonrpc.BadMessage as error:
                return answers.bad_message(error, bytes(message.id))
            except Unauthenticated:
                raise
            except MeshError as error:
                return answers.rpc_failure(error, bytes(message.id))
            exchange.watch.decided = time.perf_counter()
            if not decision:
                wanted, row = exchange.wanted, exchange.fix_at
                if wanted is not None and wanted.kind == "tool":
                    ident = bytes(message.id)
                    body = answers.denied_result(who, row, decision, ident, stateless=stateless)
                    self.record(exchange, body, f"denied: {decision.rule}")
                else:
                    body = answers.denied_error(who, row, decision, bytes(message.id))
                return answers.stateless(body) if stateless else answers.message(body)
        if (listed := await self._lists.answer(exchange)) is not None:
            return listed
        if stateless:
            return await self._stateless.answer(exchange, self.record, self._still_admitted)
        return await self._answer(exchange)

    async def _judge(self, exchange: Exchange) -> Decision:
        """The decision about a request. Raises as `judge` and `judge_virtual` do."""
        row, stateless = exchange.row, exchange.envelope is not None
        exchange.wanted = wish(exchange.message, stateless=stateless)
        if isinstance(row, VirtualTarget):
            return await judge_virtual(exchange, row, self._virtuals)
        return await judge(exchange.who, row, exchange.wanted, self._tools)

    async def _judge_again(self, exchange: Exchange) -> None:
        """Decide once more about a call that waited, by what stands now.

        Raises:
            MeshError: it may not go on.
        """
        who, row = exchange.who.present(), exchange.row
        if who is None:
            raise Unauthenticated
        now = self.find(who, row.id)
        if isinstance(row, VirtualTarget) and isinstance(now, VirtualTarget):
            now = replace(now, who=who, era=row.era, mode=row.mode)
        elif now.revision != row.revision:
            raise Conflict(f'"{row.name}" changed meanwhile')
        exchange.who, exchange.row = who, now
        try:
            decision = await self._judge(exchange)
        except jsonrpc.BadMessage:
            raise Conflict(f'"{row.name}" changed meanwhile') from None
        if not decision:
            raise denied(who, exchange.fix_at, decision)

    async def _answer(self, exchange: Exchange) -> web.StreamResponse:
        """Answer a client of the handshake era: byte for byte where the upstream speaks it too."""
        if exchange.row.transport == "http" and not self._ends_here(exchange):
            try:
                work = self._passing.answer(exchange, self.record)
                return await self._passing.absences.attend(exchange, self.record, work)
            except OtherEra as other:
                if not await self._serving.takes_over(exchange.row):
                    return other.answer
        return await self._serving.answer(exchange, self.record, self._judge_again)

    def _ends_here(self, exchange: Exchange) -> bool:
        """Whether the session, or a request without one, is not the upstream's to know."""
        if exchange.voice is not None:
            return True
        if exchange.session is not None:
            return bool(exchange.session.client)
        return self._serving.has_taken_over(exchange.row)

    def _still_admitted(self, exchange: Exchange) -> bool:
        return self._admitted(exchange.who, exchange.row)

    def record(self, exchange: Exchange, response: bytes | None, error: str | None = None) -> None:
        """Queue the record of a tool call; other messages leave none."""
        wanted = exchange.wanted
        if wanted is None or wanted.kind != "tool":
            return
        row, tool = exchange.row, wanted.name
        if exchange.reached is not None:
            row, tool = exchange.reached.row, exchange.reached.exposed.route.name
        self._records.take(
            row, exchange.who, tool, exchange.watch,
            arguments=bytes(wanted.arguments), response=response, error=error,
            client=exchange.request.headers.get("User-Agent"),
            traceparent=exchange.request.headers.get(trace_context.HEADER)
            if self._records.heeds_traces else None,
        )  # fmt: skip


def _is_stateless(version: str | None) -> bool:
    """Whether a request with this `MCP-Protocol-Version` is of the stateless era, known or not."""
    return version is not None and version not in versions.HANDSHAKE

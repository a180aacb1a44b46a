"""Handshake clients whose session ends here: those of stdio servers, and of stateless upstreams.

Many clients share one child, or one upstream without sessions; each request is answered to its own
asker, and what a stateless upstream asks in the middle of one is put to that asker alone.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import web
from msgspec import Raw

from meshd.gateway import answers
from meshd.gateway.absences import Patience
from meshd.gateway.asking import asked
from meshd.gateway.exchange import Exchange, Record
from meshd.gateway.hearing import Sink, beside, relay
from meshd.gateway.lists import concerns, shaped
from meshd.gateway.progress import Progress, Voice
from meshd.gateway.questions import ROUNDS, Questions
from meshd.gateway.session_state import SETTINGS, SessionStates
from meshd.gateway.sessions import Sessions
from meshd.gateway.under_way import UnderWay
from meshd.protocol import input_required, jsonrpc, sse, translation, versions
from meshd.protocol.envelope import bare, relayed
from meshd.protocol.jsonrpc import Reply
from meshd.protocol.members import joined, members, raw, text
from meshd.protocol.subscriptions import (
    ACKNOWLEDGED,
    CHANGES,
    Filter,
    offered,
    unlabelled,
)
from meshd.protocol.versions import era_of
from meshd.proxy.adapter import Answer, Asker
from meshd.proxy.http import SESSION
from meshd.services.access import decide
from meshd.services.directory import ConnectionRow
from meshd.services.health import Health
from meshd.services.list_news import OTHER_TOOLS, ListNews
from meshd.services.principal import Principal
from meshd.services.served_lists import ServedLists
from meshd.services.tools import Tools
from meshd.services.upstreams import TOOLS_CHANGED, Upstreams
from meshd.services.virtual_rows import VIRTUAL
from meshd.services.virtual_serving import VirtualTarget
from meshd.vault.seal import Session
from meshd.wire.errors import MeshError, Unanswered, UpstreamFailed

Judge = Callable[[Exchange], Awaitable[None]]
"""Decides once more, as everything stands now; it raises where the call may not go on."""


class SharedServing:
    """Answers exchanges of handshake clients from upstreams that are shared."""

    def __init__(
        self,
        upstreams: Upstreams,
        sessions: Sessions,
        health: Health,
        tools: Tools,
        lists: ServedLists,
        news: ListNews,
    ) -> None:
        self._upstreams = upstreams
        self._sessions = sessions
        self._health = health
        self._tools = tools
        self._lists = lists
        self._news = news
        self._under_way = UnderWay()
        self._states = SessionStates()
        self._questions = Questions()
        self.patience = Patience()

    async def answer(
        self, exchange: Exchange, record: Record, judge_again: Judge
    ) -> web.StreamResponse:
        """Answer one message; `judge_again` about a call that waited for its client."""
        message = exchange.message
        if not message.is_request:
            if message.method == "notifications/cancelled":
                self._under_way.cancel(exchange)
            elif not message.method:
                self._questions.settle(exchange.who, exchange.row, message)
            return answers.accepted()
        if message.method == "ping":
            return answers.message(jsonrpc.success(bytes(message.id), b"{}"))
        try:
            if message.method == "initialize" and self._upstreams.asleep(exchange.row):
                known = self._upstreams.welcome(exchange.row)
                if known:  # a cold start may take longer than a client waits at its own start
                    self._lists.warm(exchange.row)
                    return self._initialize(exchange, known)
            sets = message.method in {"initialize", *SETTINGS}
            if exchange.row.transport == VIRTUAL and not sets:  # its welcome is of all children
                return await self._ask(exchange, record, judge_again)
            welcome = await self._upstreams.initialize_result(exchange.row)
            if message.method == "initialize":
                return self._initialize(exchange, welcome)
            if message.method in SETTINGS:
                return answers.message(self._set(exchange, welcome))
            return await self._ask(exchange, record, judge_again)
        except MeshError as error:
            self._failed(exchange, error, record)
            return answers.rpc_failure(error, bytes(message.id))

    async def stream(
        self,
        request: web.BaseRequest,
        who: Principal,
        row: ConnectionRow,
        session: Session | None,
        admitted: Callable[[], bool],
    ) -> web.StreamResponse:
        """The stream of server messages: what changed, and a comment to stay open.

        It ends when it is no longer `admitted`. What a shared server says about somebody's call
        goes to that call alone.

        Raises:
            UpstreamFailed and the like: the upstream cannot be heard.
        """
        await self._upstreams.initialize_result(row)
        answer = web.StreamResponse(headers=answers.SSE_HEADERS)
        await answer.prepare(request)
        await answer.write(sse.COMMENT)
        with suppress(MeshError):  # the upstream's end is this stream's end
            await self.follow(
                answer, who, row, session, admitted, lambda: request.transport is not None
            )
        return answer

    async def follow(
        self,
        sink: Sink,
        who: Principal,
        row: ConnectionRow,
        session: Session | None,
        admitted: Callable[[], bool],
        present: Callable[[], bool],
    ) -> None:
        """Write what changed, until the upstream ends it, or the client is not `present`.

        Raises:
            UpstreamFailed and the like: the upstream cannot be heard.
        """
        adapter = await self._upstreams.adapter(row)
        capabilities = _capabilities(await self._upstreams.initialize_result(row))
        state = self._states.of(session)
        again = True
        while again and present():
            state.changed.clear()
            wanted = Filter(set(CHANGES.values()), _heard_of(who, row, state.resources))
            source = adapter.listen(offered(wanted, capabilities).as_members())
            if row.transport != VIRTUAL:
                source = beside(source, self._news.listen(row))
            await relay(sink, source, admitted, self._shown(who, row), state.changed)
            again = state.changed.is_set() and admitted()

    async def takes_over(self, row: ConnectionRow) -> bool:
        """Whether an HTTP upstream that refused a handshake has to be asked otherwise."""
        try:
            await self._upstreams.initialize_result(row)
        except MeshError:
            return False
        eras = self._upstreams.eras(row)
        eras.refuses_handshake = not eras.takes_handshake
        return eras.refuses_handshake

    def has_taken_over(self, row: ConnectionRow) -> bool:
        """Whether that was found out already."""
        return self._upstreams.refuses_handshake(row)

    def forget(self, session: Session) -> None:
        """A session ended."""
        self._states.forget(session)

    def _shown(self, who: Principal, row: ConnectionRow) -> Callable[[bytes], bytes | None]:
        def shown(notification: bytes) -> bytes | None:
            if notification is OTHER_TOOLS:
                return notification
            if not concerns(who, row, notification):
                return None
            method = text(members(notification).get("method"))
            if method == TOOLS_CHANGED:
                self._upstreams.note_change(row)
            return None if method == ACKNOWLEDGED else unlabelled(notification)

        return shown

    def _initialize(self, exchange: Exchange, welcome: bytes) -> web.Response:
        """The upstream's own answer, with the version this client asked for."""
        params = members(exchange.message.params)
        version = versions.negotiate(text(params.get("protocolVersion")))
        result = members(welcome)
        if not self._keeps_apart(exchange.row, welcome):
            result["capabilities"] = _shareable(_capabilities(welcome))
        result["protocolVersion"] = raw(version)
        body = jsonrpc.success(bytes(exchange.message.id), joined(result))
        client = relayed(bytes(params.get("capabilities", b"")))
        row = exchange.row
        mode = row.mode if isinstance(row, VirtualTarget) else None
        token = self._sessions.issue(exchange.who, row, mode, version, client.decode())
        return answers.message(body, {"Content-Type": "application/json", SESSION: token})

    def _keeps_apart(self, row: ConnectionRow, welcome: bytes) -> bool:
        """Whether what one client sets there holds for it alone: not at a shared child."""
        stateless = era_of(text(members(welcome).get("protocolVersion")) or "") == "stateless"
        return stateless or row.transport == "http"

    def _set(self, exchange: Exchange, welcome: bytes) -> bytes:
        """The answer to a request that sets something for this session."""
        message = exchange.message
        ident, params = bytes(message.id), members(message.params)
        if not self._keeps_apart(exchange.row, welcome) or exchange.session is None:
            refusal = f"{message.method} is not offered: the server is shared"
            code = jsonrpc.METHOD_NOT_FOUND
            return jsonrpc.failure(ident, jsonrpc.error_object(code, refusal))
        if message.method == "resources/subscribe" and _leads_nowhere(exchange):
            unknown = jsonrpc.error_object(translation.NOT_FOUND, "Unknown resource")
            return jsonrpc.failure(ident, unknown)
        wrong = self._states.of(exchange.session).apply(message.method, params)
        if wrong is None:
            return jsonrpc.success(ident, b"{}")
        return jsonrpc.failure(ident, jsonrpc.error_object(jsonrpc.INVALID_PARAMS, wrong))

    async def _ask(
        self, exchange: Exchange, record: Record, judge_again: Judge
    ) -> web.StreamResponse:
        message = exchange.message
        progress = exchange.voice or Progress(exchange.request)
        with self._under_way.one(exchange) as mine:
            try:
                with self.patience.waits(exchange, mine.withdraw):
                    answer = await self._rounds(exchange, progress, judge_again)
            except asyncio.CancelledError:
                exchange.watch.upstream = exchange.watch.answered = time.perf_counter()
                record(exchange, None, "cancelled by the client")
                if not mine.withdrawn:
                    raise  # the daemon stops
                return await progress.end(b"")  # the client expects no answer any more
            except MeshError as error:
                self._failed(exchange, error, record)
                return await progress.end(answers.failed(error, bytes(message.id)))
            else:
                exchange.watch.upstream = time.perf_counter()
                self._health.reached(exchange.row)
                body = shaped(exchange, _body(exchange, answer))
                record(exchange, body, None)
                ended = await progress.end(body)
                exchange.watch.answered = time.perf_counter()
                return ended
            finally:
                await progress.stop()

    async def _rounds(self, exchange: Exchange, progress: Voice, judge_again: Judge) -> Answer:
        """Ask the upstream, and its client what the upstream asks, until there is an answer."""
        params = bare(bytes(exchange.message.params))
        asker = self._asker(exchange)
        for _ in range(ROUNDS):
            answer = await asked(
                self._upstreams, self._tools, exchange, params, asker, progress.hear
            )
            needed = _needed(answer.reply)
            if needed is None:
                return answer
            self._health.reached(exchange.row)
            given = await self._questions.ask(exchange, progress, needed, asker.capabilities)
            await judge_again(exchange)  # a person may have taken an hour
            results = {key: said.result for key, said in given.items() if bytes(said.result)}
            errors = {key: said.error for key, said in given.items() if key not in results}
            if errors and answer.era == "stateless":  # which knows no errors there
                raise Unanswered(f'the client refused what "{exchange.row.name}" asked')
            params = input_required.repeated(params, results, errors, needed.state)
        raise UpstreamFailed(f'"{exchange.row.name}" asked more than {ROUNDS} times in one call')

    def _asker(self, exchange: Exchange) -> Asker:
        session = exchange.session
        declared = session.client.encode() if session is not None and session.client else b"{}"
        level = self._states.of(session).log_level
        return Asker(exchange.who.id, declared, level)

    def _failed(self, exchange: Exchange, error: MeshError, record: Record) -> None:
        exchange.watch.upstream = exchange.watch.answered = time.perf_counter()
        if isinstance(error, UpstreamFailed):
            self._health.failed(exchange.row, error)
        record(exchange, None, error.message)


def _heard_of(who: Principal, row: ConnectionRow, resources: set[str]) -> list[str]:
    """The resources that a principal may hear of; a virtual MCP decides about each by itself.

    What a session subscribed to may have been allowed to it only then.
    """
    now = who.present()
    if row.transport == VIRTUAL:
        return sorted(resources)
    return [
        uri for uri in sorted(resources)
        if now is not None and decide(now, row.id, "resource", uri, reads_only=lambda: False)
    ]  # fmt: skip


def _leads_nowhere(exchange: Exchange) -> bool:
    """Whether no child of the virtual MCP has what is asked for."""
    return exchange.row.transport == VIRTUAL and exchange.reached is None


def _needed(reply: Reply) -> input_required.Needed | None:
    return input_required.read(reply.result) if reply.result is not None else None


def _body(exchange: Exchange, answer: Answer) -> bytes:
    """The JSON-RPC message of an answer, in this client's words."""
    ident, method, reply = bytes(exchange.message.id), exchange.message.method, answer.reply
    if answer.era == "handshake":
        if reply.result is not None:
            return jsonrpc.success(ident, reply.result)
        return jsonrpc.failure(ident, reply.error or b"null")
    if reply.result is not None:
        return jsonrpc.success(ident, translation.handshake_result(method, reply.result))
    return jsonrpc.failure(ident, translation.handshake_error(method, reply.error or b"null"))


def _capabilities(welcome: bytes) -> Raw:
    return members(welcome).get("capabilities", Raw(b"{}"))


def _shareable(capabilities: Raw) -> Raw:
    """What many clients of one child can have: not its log level, nor subscriptions.

    What the child says about those reaches nobody, since it does not say whom it is for.
    """
    offer = members(capabilities)
    offer.pop("logging", None)
    if "resources" in offer:
        before = offer.pop("resources")
        resources = members(before)
        resources.pop("subscribe", None)
        if bytes(before).startswith(b"{"):
            offer["resources"] = raw(resources)
    return raw(offer)

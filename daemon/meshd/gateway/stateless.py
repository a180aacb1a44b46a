"""Clients of the stateless era: every request stands alone, whatever the upstream speaks.

Source: MCP 2026-07-28, basic/transports, Streamable HTTP.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from functools import partial

from aiohttp import web
from msgspec import Raw

from meshd.gateway import answers
from meshd.gateway.asking import asked
from meshd.gateway.departure import while_connected
from meshd.gateway.exchange import Exchange, Record
from meshd.gateway.hearing import beside, relay
from meshd.gateway.lists import concerns, shaped
from meshd.gateway.passing import HttpPassing, OtherEra
from meshd.gateway.progress import Progress
from meshd.gateway.request_state import RequestStates
from meshd.gateway.streams import OpenStreams
from meshd.protocol import header_values, jsonrpc, sse, translation
from meshd.protocol.envelope import HEADER_MISMATCH, Envelope, Refused, enveloped, headers_for
from meshd.protocol.input_required import METHODS, urls_asked
from meshd.protocol.members import joined, members, text
from meshd.protocol.subscriptions import CHANGES, labelled, read_filter
from meshd.protocol.translation import CACHEABLE
from meshd.protocol.versions import LATEST_STATELESS
from meshd.proxy.adapter import OURSELVES, Answer, Asker
from meshd.proxy.http_stateless import StatelessHttp
from meshd.services.access import decide
from meshd.services.health import Health
from meshd.services.list_news import OTHER_TOOLS, ListNews
from meshd.services.tools import Tools
from meshd.services.upstreams import TOOLS_CHANGED, Upstreams
from meshd.services.virtual_rows import VIRTUAL
from meshd.wire.errors import MeshError, NeedsLogin, UpstreamFailed, UpstreamTimeout

Admitted = Callable[[Exchange], bool]
"""Whether a stream may go on."""


class Stateless:
    """Answers requests that came in an envelope, once they are decided."""

    def __init__(
        self,
        upstreams: Upstreams,
        health: Health,
        tools: Tools,
        passing: HttpPassing,
        states: RequestStates,
        news: ListNews,
    ) -> None:
        self._upstreams = upstreams
        self._health = health
        self._tools = tools
        self._passing = passing
        self._states = states
        self._news = news
        self.streams = OpenStreams()
        """Streams of `subscriptions/listen` that are open."""

    async def answer(
        self, exchange: Exchange, record: Record, admitted: Admitted
    ) -> web.StreamResponse:
        """Answer one request; a client that goes away cancels it."""
        try:
            return await while_connected(exchange.request, self._answer(exchange, record, admitted))
        except ConnectionResetError:
            exchange.watch.upstream = exchange.watch.answered = time.perf_counter()
            record(exchange, None, "cancelled by the client")
            raise
        except jsonrpc.BadMessage as error:
            return answers.bad_message(error, bytes(exchange.message.id))
        except MeshError as error:
            self._failed(exchange, error, record)
            return answers.rpc_failure(error, bytes(exchange.message.id))

    async def _answer(
        self, exchange: Exchange, record: Record, admitted: Admitted
    ) -> web.StreamResponse:
        envelope, method = exchange.envelope, exchange.message.method
        assert envelope is not None  # noqa: S101 - only requests in one come here
        if method == "server/discover":
            adapter = await self._upstreams.adapter(exchange.row)
            said = translation.served_discovery(await adapter.discover())
            return answers.message(jsonrpc.success(bytes(exchange.message.id), said))
        if method == "subscriptions/listen":
            return await self._listen(exchange, envelope, partial(admitted, exchange))
        if method == "tools/call":
            await self._check_marks(exchange, envelope)
        envelope = self._states.opened(exchange, envelope)
        exchange.finish = partial(_finished, exchange, self._states)
        eras = self._upstreams.eras(exchange.row) if exchange.row.transport == "http" else None
        found = (
            await self._upstreams.recovered(exchange.row, eras.adapter, repeatable=True)
            if eras
            else None
        )
        if eras is not None and isinstance(found, StatelessHttp):
            try:
                return await self._pass(exchange, envelope, record)
            except OtherEra:
                eras.doubt(found)
        return await self._translate(exchange, envelope, record)

    async def _pass(
        self, exchange: Exchange, envelope: Envelope, record: Record
    ) -> web.StreamResponse:
        """To an upstream of the same era: another envelope and other headers, no other words."""
        method, params = exchange.message.method, envelope.params
        inside = enveloped(params, OURSELVES, envelope.capabilities, envelope.log_level)
        body = joined({
            "jsonrpc": "2.0", "id": exchange.message.id, "method": method, "params": Raw(inside)
        })  # fmt: skip
        marks = self._marks(exchange)
        more = headers_for(method, params)
        if marks:
            more |= header_values.repeated(marks, params.get("arguments", b"{}"))
        passed = replace(exchange, body=body, version=LATEST_STATELESS, headers=more)
        return await self._passing.answer(passed, record)

    async def _translate(
        self, exchange: Exchange, envelope: Envelope, record: Record
    ) -> web.StreamResponse:
        progress = Progress(exchange.request, answers.stateless)
        asker = Asker(exchange.who.id, envelope.capabilities, envelope.log_level)
        try:
            answer = await asked(
                self._upstreams, self._tools, exchange, envelope.params, asker, progress.hear
            )
            exchange.watch.upstream = time.perf_counter()
            self._health.reached(exchange.row)
            body = shaped(exchange, _body(exchange, envelope, answer))
            record(exchange, body, None)
        except MeshError as error:
            self._failed(exchange, error, record)
            body = answers.failed(error, bytes(exchange.message.id))
        except BaseException:
            await progress.stop()
            raise
        ended = await progress.end(body)
        exchange.watch.answered = time.perf_counter()
        return ended

    async def _listen(
        self, exchange: Exchange, envelope: Envelope, admitted: Callable[[], bool]
    ) -> web.StreamResponse:
        """The stream of a subscription; its messages bear this request's id."""
        who, row, ident = exchange.who, exchange.row, bytes(exchange.message.id)
        wanted = read_filter(members(envelope.params.get("notifications", b"")))
        if row.transport != VIRTUAL:  # which decides about each by itself
            wanted.resources = [
                uri for uri in wanted.resources
                if decide(who, row.id, "resource", uri, reads_only=lambda: False)
            ]  # fmt: skip
        with self.streams.one(who.id):
            adapter = await self._upstreams.adapter(row)
            source = adapter.listen(wanted.as_members())
            try:
                first = await anext(source, None)
                if first is None:
                    raise UpstreamFailed(f'"{row.name}" tells of nothing')
                answer = web.StreamResponse(headers=answers.SSE_HEADERS)
                await answer.prepare(exchange.request)
                labels = partial(self._labelled, exchange, ident)
                told = _again(first, source)
                if row.transport != VIRTUAL and CHANGES[TOOLS_CHANGED] in wanted.changes:
                    told = beside(told, self._news.listen(row))
                await relay(answer, told, admitted, labels, asyncio.Event())
            finally:
                await source.aclose()
            end = {"resultType": "complete"}
            await answer.write(sse.message(jsonrpc.success(ident, joined(end))))
            return answer

    def _labelled(self, exchange: Exchange, ident: bytes, notification: bytes) -> bytes | None:
        if not concerns(exchange.who, exchange.row, notification):
            return None
        if TOOLS_CHANGED.encode() in notification and notification is not OTHER_TOOLS:
            self._upstreams.note_change(exchange.row)
        return labelled(notification, ident)

    async def _check_marks(self, exchange: Exchange, envelope: Envelope) -> None:
        """Headers that repeat arguments must agree with them; which ones, the tool's schema says.

        Raises:
            Refused: one does not.
            BadMessage: a member on the way to an argument is repeated.
        """
        if exchange.row.transport != VIRTUAL and self._tools.known(exchange.row) is None:
            await self._tools.refresh(exchange.row)
        found = exchange.request.headers
        wrong = header_values.disagreement(
            self._marks(exchange), envelope.params.get("arguments", b"{}"),
            lambda name: found.getall(name, ()),
        )  # fmt: skip
        if wrong is not None:
            raise Refused(HEADER_MISMATCH, f"the header {wrong} does not agree with the body")

    def _marks(self, exchange: Exchange) -> "tuple[header_values.Marked, ...]":
        if exchange.wanted is None or exchange.wanted.kind != "tool":
            return ()
        if exchange.row.transport == VIRTUAL:
            schema = _schema_shown(exchange)
        else:
            schema = self._tools.schema(exchange.row, exchange.wanted.name)
        return tuple(header_values.marked(schema))

    def _failed(self, exchange: Exchange, error: MeshError, record: Record) -> None:
        exchange.watch.upstream = exchange.watch.answered = time.perf_counter()
        if isinstance(error, UpstreamFailed | UpstreamTimeout | NeedsLogin):
            self._health.failed(exchange.row, error)
        record(exchange, None, error.message)


def _schema_shown(exchange: Exchange) -> bytes:
    """Of a tool that is called by its own name, as the virtual MCP lists it."""
    named = text(exchange.envelope.params.get("name")) if exchange.envelope else None
    reached = exchange.reached
    if reached is None or reached.exposed.name != named:
        return b""
    return bytes(reached.exposed.entry.get("inputSchema", b""))


def _body(exchange: Exchange, envelope: Envelope, answer: Answer) -> bytes:
    """The JSON-RPC message of an answer, in the words of this era."""
    ident, method, reply = bytes(exchange.message.id), exchange.message.method, answer.reply
    if reply.result is None:
        error = reply.error or b"null"
        if answer.era == "handshake":
            if method in METHODS and (urls := urls_asked(error, envelope.capabilities)):
                return jsonrpc.success(ident, urls)
            error = translation.stateless_error(error)
        return jsonrpc.failure(ident, error)
    if answer.era == "stateless" or translation.result_type(reply.result) == "input_required":
        return jsonrpc.success(ident, reply.result)
    return jsonrpc.success(ident, translation.stateless_result(method, reply.result))


def _finished(exchange: Exchange, states: RequestStates, body: bytes) -> bytes:
    """What is kept only by its own caller, and a state that only its own caller may bring back."""
    if exchange.message.method in CACHEABLE:
        body = _with_result(body, translation.private_result)
    return states.sealed(exchange, body)


def _with_result(body: bytes, change: Callable[[bytes], bytes]) -> bytes:
    found = members(body)
    if "result" not in found:
        return body
    before = bytes(found["result"])
    after = change(before)
    return body if after is before else joined({**found, "result": Raw(after)})


async def _again(first: bytes, source: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    yield first
    async for notification in source:
        yield notification

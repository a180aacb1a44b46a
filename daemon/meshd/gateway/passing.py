"""HTTP connections: messages pass byte for byte, answers stream back as they come."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from functools import partial
from typing import cast

from aiohttp import web

from meshd.core.answers import JSON
from meshd.gateway import answers
from meshd.gateway.absences import Absences
from meshd.gateway.apart import SessionsApart
from meshd.gateway.continued import Continued
from meshd.gateway.exchange import Exchange, Record
from meshd.gateway.lists import filtered_event, needs_filter, shaped, whole_tool_list
from meshd.gateway.pacing import LateStream, Paced, between
from meshd.gateway.relay import Ear, Events, answer_to
from meshd.gateway.revived import Revived
from meshd.gateway.sessions import Sessions
from meshd.protocol import jsonrpc, sse
from meshd.protocol.envelope import headers_for, relayed
from meshd.protocol.members import members, text
from meshd.protocol.translation import is_refused_for_era
from meshd.protocol.versions import HANDSHAKE
from meshd.proxy.http import MAX_BODY, SESSION, Response
from meshd.proxy.http_messages import error_in, refused
from meshd.proxy.http_stateless import speaks_stateless
from meshd.proxy.tries import TRIES, beforehand
from meshd.services.directory import ConnectionRow
from meshd.services.health import Health
from meshd.services.list_news import ListNews
from meshd.services.principal import Principal
from meshd.services.recovering import may_have_run
from meshd.services.tools import Tools
from meshd.services.upstreams import CALL_CEILING, Upstreams
from meshd.vault.errors import VaultError
from meshd.vault.seal import Session
from meshd.wire.errors import MeshError, NeedsLogin, UpstreamFailed, UpstreamTimeout

EVENT_STREAM = "text/event-stream"
TOOLS_CHANGED = b"notifications/tools/list_changed"
PASSED_STATUS = frozenset({400, 404, 405})
"""Upstream refusals that mean the same to the client; others are the gateway's to explain."""

_FIRST = headers_for("initialize", {})
"""Names the method to a server of the stateless era, which may turn out to speak this one too."""


class OtherEra(Exception):
    """The upstream refused a request because it speaks the other era, as it seems.

    `answer` is what it said, for a client that has to see it after all.
    """

    def __init__(self, answer: web.Response) -> None:
        super().__init__()
        self.answer = answer


class HttpPassing:
    """Forwards exchanges to HTTP upstreams."""

    def __init__(
        self,
        upstreams: Upstreams,
        sessions: Sessions,
        health: Health,
        tools: Tools,
        news: ListNews,
    ) -> None:
        self._upstreams = upstreams
        self._sessions = sessions
        self._health = health
        self._tools = tools
        self._news = news
        self.apart = SessionsApart()
        self._revived = Revived(upstreams)
        self.absences = Absences(upstreams, self._revived)

    async def answer(self, exchange: Exchange, record: Record) -> web.StreamResponse:
        """Send the message on and relay what comes back.

        Raises:
            OtherEra: it has to be put in other words; nothing was done about it.
        """
        row, wanted, method = exchange.row, exchange.wanted, exchange.message.method
        tool = wanted.name if wanted is not None else ""
        try:
            return await self._upstreams.recovered(
                row, partial(self._once, exchange, record),
                repeatable=self._tools.may_repeat(row, method, tool),
            )  # fmt: skip
        except MeshError as error:
            return self._failed(exchange, error, record)

    async def _once(self, exchange: Exchange, record: Record) -> web.StreamResponse:
        """Try it. Nothing was written to the client when this raises."""
        row, ident = exchange.row, bytes(exchange.message.id)
        response = await self._posted(exchange)
        try:
            status, asked = response.status, exchange.message.is_request
            told = asked and status not in PASSED_STATUS
            error = await error_in(response, ident) if told else None
            if error is None:
                self._check(row, response, asked=asked)
            headers = self._headers(exchange, response)
            if status == 200 and response.content_type == EVENT_STREAM:
                return await self._relay(exchange, response, headers, record)
            body = await response.read(MAX_BODY) if error is None else b""
        finally:
            response.release()
        exchange.watch.upstream = time.perf_counter()
        if error is not None:
            status, body = 200, jsonrpc.failure(ident, error)
        if status == 200 and asked:
            found = answer_to(body, ident)
            if found is None:
                raise UpstreamFailed(f'"{row.name}" answered with no JSON-RPC response to this')
            body = self._shaped(exchange, found)
            if response.content_type != JSON:
                headers["Content-Type"] = JSON  # which it is, and clients take nothing else
        answer = web.Response(body=body, status=status, headers=headers)
        if _is_of_other_era(exchange, status, body):
            raise OtherEra(answer)
        self._health.reached(row)
        self._revived.note(exchange.session, exchange.message, body)
        record(exchange, body, None)
        if exchange.wanted is not None:
            await answer.prepare(exchange.request)
            await answer.write_eof()
            exchange.watch.answered = time.perf_counter()
        return answer

    async def stream(
        self,
        request: web.BaseRequest,
        who: Principal,
        row: ConnectionRow,
        session: Session | None,
        version: str | None,
        admitted: Callable[[], bool],
    ) -> web.StreamResponse:
        """Relay the upstream's stream of server messages for as long as it is `admitted`.

        Raises:
            UpstreamFailed and the like: it could not be opened.
        """
        last = request.headers.get("Last-Event-ID")
        if last is not None:
            self.absences.forget(session)

        begun = self._revived.present(session)

        async def opened(known: str | None) -> Response:
            place = last if known == begun else None  # another session has no such event
            upstream = self._upstreams.http(row)
            return await upstream.get(session=known, version=version, last_event=place)

        response = await self._upstreams.recovered(
            row, partial(self._in_session, who, row, session, version, opened), repeatable=True
        )
        try:
            self._check(row, response)
            if response.status != 200 or response.content_type != EVENT_STREAM:
                return web.Response(body=await response.read(MAX_BODY), status=response.status)
            answer = web.StreamResponse(headers=answers.SSE_HEADERS)
            await answer.prepare(request)
            with suppress(UpstreamFailed, UpstreamTimeout, sse.EventTooLarge):
                # The upstream's end is this stream's end: the client opens another.
                async with aclosing(self._told(response, who, row, session)) as told:
                    async for chunk in told:
                        if not admitted():
                            break
                        await answer.write(chunk)
            await answer.write_eof()
        finally:
            response.release()
        return answer

    def _told(
        self, response: Response, who: Principal, row: ConnectionRow, session: Session | None
    ) -> AsyncGenerator[bytes, None]:
        """The stream of server messages, and what the server did not say of its tools."""
        return between(self._allowed(response, who, row, session), self._news.listen(row))

    async def _allowed(
        self, response: Response, who: Principal, row: ConnectionRow, session: Session | None
    ) -> AsyncGenerator[bytes, None]:
        """The chunks of a stream of server messages, lists in them filtered as everywhere."""
        ear = Ear(TOOLS_CHANGED)
        if not needs_filter(who, row, "tools/list"):
            async for chunk in Paced(response.chunks()):
                if ear.hears(chunk):
                    self._note_change(row, session)
                yield chunk
            return
        splitter = sse.Splitter()
        async for chunk in Paced(response.chunks()):
            if ear.hears(chunk):
                self._note_change(row, session)
            for event in splitter.feed(chunk):
                data = sse.data_of(event)
                shown = filtered_event(who, row, data) if data else data
                if shown is not None:
                    yield sse.with_data(event, shown) if shown != data else event + b"\n\n"

    def _note_change(self, row: ConnectionRow, session: Session | None) -> None:
        self._upstreams.note_change(row)
        self.apart.told(session)

    def _shaped(self, exchange: Exchange, body: bytes) -> bytes:
        """The answer as its client may see it; a session apart is compared with all others."""
        row, message = exchange.row, exchange.message
        if message.method == "tools/list" and self.apart.holds(exchange.session):
            common, entries = self._tools.known(row), whole_tool_list(message, body)
            if not self._tools.is_current(row):
                self._tools.begin_relist(row)
            elif common is not None and entries is not None:
                self.apart.listed(exchange.session, entries, common)
        return shaped(exchange, body)

    async def end(self, row: ConnectionRow, session: Session, version: str | None) -> None:
        """End the upstream's session; what it answers does not matter any more."""
        self.apart.ended(session)
        self.absences.forget(session)
        known = self._revived.present(session)
        self._revived.forget(session)
        if known is not None:
            with suppress(MeshError):
                await self._upstreams.http(row).delete(session=known, version=version)

    async def _posted(self, exchange: Exchange) -> Response:
        """The upstream's answer. Raises as `_in_session`."""
        upstream = self._upstreams.http(exchange.row)
        first = exchange.message.method == "initialize"
        more = _FIRST if first else exchange.headers

        async def posted(known: str | None) -> Response:
            return await upstream.post(
                exchange.body, session=known, version=exchange.version, more=more
            )

        if first:
            return await posted(self._revived.present(exchange.session))
        return await self._in_session(
            exchange.who, exchange.row, exchange.session, exchange.version, posted
        )

    async def _in_session(
        self, who: Principal, row: ConnectionRow, session: Session | None, version: str | None,
        send: Callable[[str | None], Awaitable[Response]],
    ) -> Response:  # fmt: skip
        """What `send` is answered; where the upstream forgot the session, in another one.

        Raises:
            UpstreamFailed: it forgets each, or begins no other.
        """
        known = self._revived.present(session)
        for left in reversed(range(TRIES)):
            response = await send(known)
            if response.status != 404 or session is None or known is None:
                return response
            response.release()
            if left:
                with beforehand():
                    known = await self._revived.anew(who, row, session, known, version)
        raise UpstreamFailed(
            f'"{row.name}" forgets its sessions at once',
            next=f"meshctl connection test {row.name}",
        )

    def _check(self, row: ConnectionRow, response: Response, *, asked: bool = False) -> None:
        """Refuse a status that the client could not make sense of; `asked` is for an answer."""
        status = response.status
        if status == 200 or status in PASSED_STATUS or (200 < status < 300 and not asked):
            return
        error = refused(response, f'"{row.name}"')
        error.next = f"meshctl connection test {row.name}"
        if isinstance(error, NeedsLogin):
            error.next = f"meshctl connection edit {row.name} --header 'Authorization: …'"
        raise error

    def _headers(self, exchange: Exchange, response: Response) -> dict[str, str]:
        headers = {}
        kind = response.headers.get("Content-Type")
        if kind is not None:
            headers["Content-Type"] = kind
        if exchange.message.method == "initialize" and response.status == 200:
            given = response.headers.get(SESSION)
            try:
                declared = members(exchange.message.params).get("capabilities", b"")
                headers[SESSION] = self._sessions.issue(
                    exchange.who, exchange.row, given, exchange.version or "",
                    declared=relayed(bytes(declared)).decode() if given is not None else "",
                )  # fmt: skip
            except VaultError as error:
                raise UpstreamFailed(
                    f'"{exchange.row.name}" gave a session id that cannot be kept',
                    facts={"why": str(error)},
                ) from None
        return headers

    def _failed(self, exchange: Exchange, error: MeshError, record: Record) -> web.Response:
        """A refusal as the client gets it: HTTP 200 for a request, else a status of its own."""
        exchange.watch.upstream = exchange.watch.answered = time.perf_counter()
        if isinstance(error, UpstreamFailed | UpstreamTimeout):
            self._health.failed(exchange.row, error)
        record(exchange, None, error.message)
        if exchange.message.is_request:
            return answers.rpc_failure(error, bytes(exchange.message.id))
        return answers.rpc_error(error)

    async def _relay(
        self, exchange: Exchange, response: Response, headers: dict[str, str], record: Record
    ) -> web.StreamResponse:
        """Stream events back as they come; the one that answers is recorded, lists are filtered."""
        answer = LateStream(exchange.request, answers.SSE_HEADERS | headers)
        ends = time.monotonic() + CALL_CEILING
        unanswered = exchange.message.is_request
        ident = bytes(exchange.message.id) if unanswered else b""
        events = Events(ident, lambda data: self._shaped(exchange, data))
        whole = Continued(
            response, events, f'"{exchange.row.name}"',
            partial(self._upstreams.http, exchange.row),
            self._revived.present(exchange.session), exchange.version,
        )  # fmt: skip
        ear = Ear(TOOLS_CHANGED)
        try:
            try:
                async for chunk in Paced(whole):
                    if time.monotonic() > ends:
                        late = f'"{exchange.row.name}" did not end within {CALL_CEILING:g} s'
                        raise UpstreamTimeout(late)
                    if ear.hears(chunk):
                        self._note_change(exchange.row, exchange.session)
                    ready = events.feed(chunk)
                    if unanswered and events.answer is not None:
                        unanswered = False
                        exchange.watch.upstream = time.perf_counter()
                        self._health.reached(exchange.row)
                        self._revived.note(exchange.session, exchange.message, events.answer)
                        record(exchange, events.answer, None)
                    await answer.write(ready)
                if unanswered:
                    raise UpstreamFailed.gone(
                        f'"{exchange.row.name}" ended the stream without an answer'
                    )
            except sse.EventTooLarge:
                raise UpstreamFailed(f'"{exchange.row.name}" sent an endless event') from None
        except MeshError as error:
            if answer.answer is None:
                raise
            if isinstance(error, UpstreamFailed) and error.lost:
                error = may_have_run(error)
            if unanswered:
                failure = self._failed(exchange, error, record)
                await answer.write(sse.message(cast("bytes", failure.body)))
        finally:
            whole.release()
        ended = await answer.end()
        exchange.watch.answered = time.perf_counter()
        return ended


def _is_of_other_era(exchange: Exchange, status: int, body: bytes) -> bool:
    """Whether an answer looks like one of the other era's; the upstream is asked then."""
    if exchange.envelope is None and exchange.message.method == "initialize":
        # No server of this era refuses that; those of the other have many ways to.
        if status != 200:
            return status in PASSED_STATUS
        said = members(members(body).get("result", b""))
        return text(said.get("protocolVersion")) not in HANDSHAKE
    if status not in PASSED_STATUS:
        return False
    if exchange.envelope is None:
        return is_refused_for_era(body)
    # What bears this request's id was answered, and may have been done: it is not asked again.
    answered = bytes(members(body).get("id", b"")) == bytes(exchange.message.id)
    return not answered and not speaks_stateless(body)

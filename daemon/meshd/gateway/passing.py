"""HTTP connections: messages pass byte for byte, answers stream back as they come."""

import time
from contextlib import suppress

import aiohttp
from aiohttp import web

from meshd.gateway import answers
from meshd.gateway.exchange import Exchange, Record
from meshd.gateway.lists import filtered, needs_filter, whole_tool_list
from meshd.gateway.sessions import Sessions
from meshd.protocol import jsonrpc, sse
from meshd.proxy.http import SESSION, read_all
from meshd.services.access import scope_at
from meshd.services.directory import ConnectionRow
from meshd.services.health import Health
from meshd.services.tools import Tools
from meshd.services.upstreams import Upstreams
from meshd.vault.seal import Session
from meshd.wire.errors import MeshError, NeedsLogin, UpstreamFailed, UpstreamTimeout

EVENT_STREAM = "text/event-stream"
PASSED_STATUS = frozenset({400, 404, 405})
"""Upstream refusals that mean the same to the client; others are the gateway's to explain."""


class HttpPassing:
    """Forwards exchanges to HTTP upstreams."""

    def __init__(
        self, upstreams: Upstreams, sessions: Sessions, health: Health, tools: Tools
    ) -> None:
        self._upstreams = upstreams
        self._sessions = sessions
        self._health = health
        self._tools = tools

    async def answer(self, exchange: Exchange, record: Record) -> web.StreamResponse:
        """Send the message on and relay what comes back."""
        row, session, ident = exchange.row, exchange.session, bytes(exchange.message.id)
        try:
            response = await self._upstreams.http(row).post(
                exchange.body,
                session=session.upstream if session is not None else None,
                version=exchange.version,
            )
            try:
                self._check(row, response)
                self._health.reached(row)
                if response.content_type == EVENT_STREAM and response.status == 200:
                    return await self._relay(exchange, response, record)
                body = await read_all(response, row.name)
            finally:
                response.release()
        except MeshError as error:
            exchange.watch.upstream = exchange.watch.answered = time.perf_counter()
            if isinstance(error, UpstreamFailed | UpstreamTimeout):
                self._health.failed(row, error)
            record(exchange, None, error.message)
            if exchange.message.is_request:
                return answers.rpc_failure(error, ident)
            return answers.rpc_error(error)
        exchange.watch.upstream = time.perf_counter()
        return await self._finish(exchange, response, body, record)

    async def _finish(
        self, exchange: Exchange, response: aiohttp.ClientResponse, body: bytes, record: Record
    ) -> web.StreamResponse:
        if response.status == 200 and exchange.message.is_request:
            body = await self._shaped(exchange, body)
        headers = self._headers(exchange, response)
        record(exchange, body, None)
        answer = web.Response(body=body, status=response.status, headers=headers)
        if exchange.wanted is not None:
            await answer.prepare(exchange.request)
            await answer.write_eof()
            exchange.watch.answered = time.perf_counter()
        return answer

    async def stream(
        self,
        request: web.BaseRequest,
        row: ConnectionRow,
        session: Session | None,
        version: str | None,
    ) -> web.StreamResponse:
        """Relay the upstream's stream of server messages.

        Raises:
            UpstreamFailed and the like: it could not be opened.
        """
        response = await self._upstreams.http(row).get(
            session=session.upstream if session is not None else None,
            version=version,
            last_event=request.headers.get("Last-Event-ID"),
        )
        try:
            self._check(row, response)
            if response.status != 200 or response.content_type != EVENT_STREAM:
                body = await read_all(response, row.name)
                return web.Response(body=body, status=response.status)
            answer = web.StreamResponse(headers=answers.SSE_HEADERS)
            await answer.prepare(request)
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                # The upstream's end is this stream's end: the client opens another.
                async for chunk in response.content.iter_any():
                    await answer.write(chunk)
            await answer.write_eof()
        finally:
            response.close()
        return answer

    async def end(self, row: ConnectionRow, session: Session, version: str | None) -> None:
        """End the upstream's session; what it answers does not matter any more."""
        if session.upstream is not None:
            try:
                await self._upstreams.http(row).delete(session=session.upstream, version=version)
            except (UpstreamFailed, UpstreamTimeout):
                return

    def _check(self, row: ConnectionRow, response: aiohttp.ClientResponse) -> None:
        status = response.status
        if 200 <= status < 300 or status in PASSED_STATUS:
            return
        if status in {401, 403}:
            raise NeedsLogin(
                f'"{row.name}" refused its credentials (HTTP {status})',
                next=f"meshctl connection edit {row.name} --header 'Authorization: …'",
            )
        raise UpstreamFailed(
            f'"{row.name}" answered HTTP {status}', next=f"meshctl connection test {row.name}"
        )

    def _headers(self, exchange: Exchange, response: aiohttp.ClientResponse) -> dict[str, str]:
        headers = {}
        kind = response.headers.get("Content-Type")
        if kind is not None:
            headers["Content-Type"] = kind
        if exchange.message.method == "initialize" and response.status == 200:
            headers[SESSION] = self._sessions.issue(
                exchange.who, exchange.row, response.headers.get(SESSION), exchange.version or ""
            )
        return headers

    async def _shaped(self, exchange: Exchange, body: bytes) -> bytes:
        """The answer as this principal may see it; untouched for all but filtered lists."""
        who, row, method = exchange.who, exchange.row, exchange.message.method
        if not needs_filter(who, method, everything=scope_at(who, row.id).all):
            return body
        if (
            method == "tools/list"
            and (entries := whole_tool_list(exchange.message, body)) is not None
        ):
            await self._tools.learn(row, entries)
        return filtered(who, row, method, body)

    async def _relay(
        self, exchange: Exchange, response: aiohttp.ClientResponse, record: Record
    ) -> web.StreamResponse:
        """Stream events back as they come; those that answer are noted, lists are filtered."""
        message, row = exchange.message, exchange.row
        method = message.method
        shaping = needs_filter(exchange.who, method, everything=scope_at(exchange.who, row.id).all)
        watching = shaping or exchange.wanted is not None
        headers = answers.SSE_HEADERS | self._headers(exchange, response)
        answer = web.StreamResponse(headers=headers)
        await answer.prepare(exchange.request)
        splitter = sse.Splitter()
        found: bytes | None = None
        error: str | None = None
        try:
            async for chunk in response.content.iter_any():
                if not watching:
                    await answer.write(chunk)
                    continue
                out = []
                for event in splitter.feed(chunk):
                    data = sse.data_of(event)
                    if data and _answers(data, bytes(message.id)):
                        found = data
                        exchange.watch.upstream = time.perf_counter()
                        if shaping:
                            shaped = await self._shaped(exchange, data)
                            event = sse.with_data(event, shaped)[:-2]  # noqa: PLW2901
                    out.append(event + b"\n\n")
                if found is not None:
                    record(exchange, found, None)
                    exchange.wanted = None
                await answer.write(b"".join(out))
        except (aiohttp.ClientError, TimeoutError, OSError, sse.EventTooLarge) as failure:
            error = str(failure) or type(failure).__name__
        if found is None and watching:
            record(exchange, None, error or "the stream ended without an answer")
            if error is not None:
                gone = UpstreamFailed(f'"{row.name}" broke off: {error[:200]}')
                self._health.failed(row, gone)
                body = answers.rpc_failure(gone, bytes(message.id)).body
                await answer.write(sse.message(bytes(body)))  # type: ignore[arg-type]
        await answer.write_eof()
        exchange.watch.answered = time.perf_counter()
        return answer


def _answers(data: bytes, ident: bytes) -> bool:
    """Whether an event's data is the response to the request of that raw id."""
    try:
        message = jsonrpc.parse(data)
    except jsonrpc.BadMessage:
        return False
    return not message.method and bytes(message.id) == ident

"""An HTTP upstream of the stateless era: one POST for each request, and nothing kept between them.

Source: MCP 2026-07-28, basic/transports, Streamable HTTP.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

import msgspec
from msgspec import Raw

from meshd.protocol import jsonrpc, versions
from meshd.protocol.envelope import (
    STATELESS_CODES,
    UNSUPPORTED_VERSION,
    enveloped,
    headers_for,
)
from meshd.protocol.header_values import without_mismarked
from meshd.protocol.jsonrpc import Reply
from meshd.protocol.members import members
from meshd.protocol.translation import code_of, speaks_ours
from meshd.proxy.adapter import OURSELVES, Asker, Hear
from meshd.proxy.http import MAX_BODY, HttpUpstream, Response
from meshd.proxy.http_messages import EVENT_STREAM, answers, error_in, messages, refused, reply_of
from meshd.wire.errors import NeedsLogin, UpstreamFailed, UpstreamTimeout

CALL_CEILING = 3600.0

ParamHeaders = Callable[[str, Mapping[str, Raw]], Mapping[str, str]]
"""The `Mcp-Param-*` headers of a request, by its method and params."""


_REFUSALS = STATELESS_CODES | {jsonrpc.METHOD_NOT_FOUND, jsonrpc.INVALID_PARAMS}


class NotStateless(Exception):
    """What the upstream answered makes it doubtful that it speaks this era (still)."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class StatelessHttp:
    """Asks one upstream. `said` is what it answered to `server/discover`."""

    def __init__(
        self, upstream: HttpUpstream, shown: str, said: bytes, param_headers: ParamHeaders
    ) -> None:
        self._upstream = upstream
        self._shown = shown
        self._said = said
        self._param_headers = param_headers
        self._ids = itertools.count(1)

    async def discover(self) -> bytes:
        """What it said when it was found out which era it speaks."""
        return self._said

    async def ask(self, method: str, params: Mapping[str, Raw], asker: Asker, hear: Hear) -> Reply:
        """One request; what comes before its answer is heard. Raises as `Adapter.ask`.

        Raises:
            NotStateless: what it answered is no answer of this era.
        """
        ident = next(self._ids)
        try:
            async with asyncio.timeout(CALL_CEILING):
                response = await self._post(ident, method, params, asker)
                try:
                    return await self._answer(response, ident, method, hear)
                finally:
                    response.release()
        except TimeoutError:
            late = f"{self._shown} did not answer within {CALL_CEILING:g} s"
            raise UpstreamTimeout(late) from None

    async def listen(self, wanted: Mapping[str, Raw]) -> AsyncGenerator[bytes, None]:
        """Its stream of notifications. Raises as `Adapter.listen`."""
        ident = next(self._ids)
        params = {"notifications": Raw(msgspec.json.encode(wanted))}
        response = await self._post(ident, "subscriptions/listen", params, Asker(""))
        try:
            self._check(response)
            async with aclosing(messages(response, self._shown)) as found:
                async for message, raw in found:
                    if not message.method:
                        return
                    if not message.is_request:
                        yield raw
        finally:
            response.release()

    async def _post(
        self, ident: int, method: str, params: Mapping[str, Raw], asker: Asker
    ) -> Response:
        lines = {**headers_for(method, params), **self._param_headers(method, params)}
        inside = enveloped(params, OURSELVES, asker.capabilities, asker.log_level)
        return await self._upstream.post(
            jsonrpc.request(ident, method, inside),
            session=None, version=versions.LATEST_STATELESS, more=lines,
        )  # fmt: skip

    async def _answer(self, response: Response, ident: int, method: str, hear: Hear) -> Reply:
        if response.status in {400, 404, 405} and response.content_type != EVENT_STREAM:
            body = await response.read(MAX_BODY)
            said = members(body)
            if not speaks_stateless(body) and bytes(said.get("id", b"")) != b"%d" % ident:
                raise NotStateless(response.status)
            return Reply(None, bytes(said.get("error", b"null")))
        if (error := await error_in(response, b"%d" % ident)) is not None:
            return Reply(None, error)
        self._check(response)
        async with aclosing(messages(response, self._shown)) as found:
            async for message, raw in found:
                if answers(message, ident):
                    return _accepted(method, reply_of(message))
                if message.method and not message.is_request:
                    hear(raw)
        raise UpstreamFailed.gone(f"{self._shown} ended without an answer")

    def _check(self, response: Response) -> None:
        if response.status != 200:
            raise refused(response, self._shown)


def _accepted(method: str, reply: Reply) -> Reply:
    """An answer as a client of this era takes it: tools with marks that are not valid are none."""
    if method != "tools/list" or reply.result is None:
        return reply
    return Reply(without_mismarked(reply.result), None)


def speaks_stateless(body: bytes) -> bool:
    """Whether the body of a 4xx is a refusal as a server of this era gives it.

    Servers of the other era refuse what has no session with other codes, or with no JSON-RPC.
    """
    return code_of(bytes(members(body).get("error", b""))) in _REFUSALS


async def discovered(upstream: HttpUpstream, shown: str) -> bytes | None:
    """What an upstream says of itself in this era; None where it does not speak it.

    Raises:
        UpstreamFailed, UpstreamTimeout: it cannot be reached.
        NeedsLogin: it refused our credentials.
    """
    response = await _discover(upstream)
    try:
        if response.status == 400 and _names_ours(await response.read(MAX_BODY)):
            response.release()
            response = await _discover(upstream)
        if response.status in {401, 403}:
            raise NeedsLogin(f"{shown} refused the credentials (HTTP {response.status})")
        if response.status != 200:
            return None
        async with aclosing(messages(response, shown)) as found:
            async for message, _ in found:
                if not message.method:
                    said = reply_of(message).result
                    return said if said is not None and speaks_ours(said) else None
    except UpstreamFailed as error:
        if error.lost:
            raise
        return None  # it said something, but nothing of this era
    finally:
        response.release()
    return None


async def _discover(upstream: HttpUpstream) -> Response:
    return await upstream.post(
        jsonrpc.request(0, "server/discover", enveloped({}, OURSELVES)),
        session=None, version=versions.LATEST_STATELESS, more=headers_for("server/discover", {}),
    )  # fmt: skip


def _names_ours(refusal: bytes) -> bool:
    """Whether a server refused the version of a request, and names that very one as known to it."""
    error = bytes(members(refusal).get("error", b""))
    if code_of(error) != UNSUPPORTED_VERSION:
        return False
    return speaks_ours(bytes(members(error).get("data", b"")), "supported")

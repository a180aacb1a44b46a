"""The daemon's own MCP session with an HTTP upstream: for tests, listing and operators' calls.

Clients' sessions are their own and pass through byte for byte; this one serves the daemon.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

import msgspec

from meshd.protocol import jsonrpc, sse, versions
from meshd.protocol.jsonrpc import Reply
from meshd.protocol.progress import swap_token
from meshd.proxy.http import MAX_BODY, SESSION, HttpUpstream, Response
from meshd.wire.errors import MeshError, NeedsLogin, UpstreamFailed, UpstreamTimeout
from meshd.wire.version import VERSION

CALL_DEADLINE = 300.0

Hear = Callable[[bytes], None]
"""Takes a notification: one JSON-RPC message."""


class _Lost(Exception):
    """The upstream does not know our session any more."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A session: its id (None where the upstream keeps none), and how the upstream began it."""

    session: str | None
    version: str | None
    said: bytes


_NONE_YET = _Opened(None, None, b"")


class HttpSession:
    """Initializes on first use, again when the upstream forgot the session, and asks."""

    def __init__(self, upstream: HttpUpstream, shown: str) -> None:
        self._upstream = upstream
        self._shown = shown
        self._ids = itertools.count(1)
        self._opening = asyncio.Lock()
        self._opened = _NONE_YET

    async def open(self) -> bytes:
        """The raw result of `initialize`, asked for if there is no session yet.

        Raises:
            UpstreamFailed, NeedsLogin, UpstreamTimeout: as `request`.
        """
        return (await self._present()).said

    async def request(
        self,
        method: str,
        params: bytes = b"",
        *,
        deadline: float = CALL_DEADLINE,
        hear: Hear | None = None,
    ) -> Reply:
        """Ask and wait for the answer, at most `deadline` seconds.

        `hear` gets the notifications that the server sends before it answers this request. A
        progress token in `params` is replaced: callers that share the session may choose equal
        ones.

        A forgotten session is opened anew once: the upstream refused the request unprocessed.

        Raises:
            UpstreamFailed: the server cannot be reached, broke off, or answered nonsense.
            NeedsLogin: it refused our credentials.
            UpstreamTimeout: no answer in time.
        """
        try:
            async with asyncio.timeout(deadline):
                opened = await self._present()
                try:
                    return (await self._ask(method, params, opened, hear))[0]
                except _Lost:
                    opened = await self._present(lost=opened)
                    return (await self._ask(method, params, opened, hear))[0]
        except TimeoutError:
            raise UpstreamTimeout(f"{self._shown} did not answer within {deadline:g} s") from None
        except _Lost:
            raise UpstreamFailed(f"{self._shown} forgets its sessions at once") from None

    async def close(self) -> None:
        """End the session at the upstream, if it will hear it."""
        opened, self._opened = self._opened, _NONE_YET
        if opened.session is not None:
            try:
                async with asyncio.timeout(2):
                    await self._upstream.delete(session=opened.session, version=opened.version)
            except (MeshError, TimeoutError):
                pass  # the session is the upstream's to forget

    async def _present(self, lost: _Opened = _NONE_YET) -> _Opened:
        """The session; another one than `lost`, however many lost that one at a time."""
        async with self._opening:
            if self._opened is _NONE_YET or self._opened is lost:
                self._opened = await self._initialize()
            return self._opened

    async def _initialize(self) -> _Opened:
        params = msgspec.json.encode(
            {
                "protocolVersion": versions.LATEST_HANDSHAKE,
                "capabilities": {},
                "clientInfo": {"name": "meshctl", "version": VERSION},
            }
        )
        reply, session = await self._ask("initialize", params, _NONE_YET)
        if reply.result is None:
            raise UpstreamFailed(f"{self._shown} refused to initialize: {_message(reply.error)}")
        try:
            result = msgspec.json.decode(reply.result)
            version = str(result["protocolVersion"])
        except (msgspec.DecodeError, KeyError, TypeError):
            raise UpstreamFailed(f"{self._shown} answered initialize without a version") from None
        if version not in versions.HANDSHAKE:
            raise UpstreamFailed(f"{self._shown} speaks {version[:20]!r}, which is not known")
        opened = _Opened(session, version, reply.result)
        await self._tell(jsonrpc.notification("notifications/initialized"), opened)
        return opened

    async def _tell(self, body: bytes, opened: _Opened) -> None:
        response = await self._upstream.post(body, session=opened.session, version=opened.version)
        response.release()

    async def _ask(
        self, method: str, params: bytes, opened: _Opened, hear: Hear | None = None
    ) -> tuple[Reply, str | None]:
        """The answer, and the id of the session that it began."""
        ident = next(self._ids)
        params, _ = swap_token(params, b"%d" % ident)
        body = jsonrpc.request(ident, method, params)
        response = await self._upstream.post(body, session=opened.session, version=opened.version)
        try:
            self._check(response, opened)
            given = self._given(response)
            asking = replace(opened, session=given) if opened is _NONE_YET else opened
            if response.content_type == "text/event-stream":
                async with aclosing(_events(response, self._shown)) as events:
                    async for data in events:
                        if (reply := await self._consider(data, ident, asking, hear)) is not None:
                            return reply, given
                raise UpstreamFailed(f"{self._shown} closed the stream without an answer")
            reply = await self._consider(await response.read(MAX_BODY), ident, asking)
            if reply is None:
                raise UpstreamFailed(f"{self._shown} answered something else than was asked")
            return reply, given
        finally:
            response.release()

    def _given(self, response: Response) -> str | None:
        session = response.headers.get(SESSION)
        if session is not None and not (session.isascii() and session.isprintable()):
            raise UpstreamFailed(f"{self._shown} gave a session id that is not visible ASCII")
        return session

    def _check(self, response: Response, opened: _Opened) -> None:
        status = response.status
        if status == 404 and opened.session is not None:
            raise _Lost
        if status in {401, 403}:
            raise NeedsLogin(f"{self._shown} refused the credentials (HTTP {status})")
        if not 200 <= status < 300:
            raise UpstreamFailed(f"{self._shown} answered HTTP {status}")

    async def _consider(
        self, data: bytes, ident: int, opened: _Opened, hear: Hear | None = None
    ) -> Reply | None:
        """The reply if `data` answers request `ident`; other requests are declined."""
        try:
            message = jsonrpc.parse(data)
        except jsonrpc.BadMessage as error:
            raise UpstreamFailed(f"{self._shown} answered no JSON-RPC: {error}") from None
        if message.is_request:
            refusal = jsonrpc.error_object(jsonrpc.METHOD_NOT_FOUND, "there is no client to ask")
            await self._tell(
                jsonrpc.success(bytes(message.id), b"{}")
                if message.method == "ping"
                else jsonrpc.failure(bytes(message.id), refusal),
                opened,
            )
            return None
        if message.method and hear is not None:
            hear(data)
        if bytes(message.id) != b"%d" % ident:
            return None
        result = bytes(message.result)
        return Reply(result, None) if result else Reply(None, bytes(message.error) or b"null")


async def _events(response: Response, shown: str) -> AsyncGenerator[bytes, None]:
    splitter = sse.Splitter()
    async for chunk in response.chunks():
        try:
            events = splitter.feed(chunk)
        except sse.EventTooLarge:
            raise UpstreamFailed(f"{shown} sent an event that is too large") from None
        for event in events:
            if data := sse.data_of(event):
                yield data


def _message(error: bytes | None) -> str:
    try:
        return str(msgspec.json.decode(error or b"{}").get("message", "no reason given"))[:200]
    except (msgspec.DecodeError, AttributeError):
        return "no reason given"

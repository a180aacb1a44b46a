"""The daemon's own MCP session with an HTTP upstream: for tests, listing and operators' calls.

Clients' sessions are their own and pass through byte for byte; this one serves the daemon.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator

import aiohttp
import msgspec

from meshd.protocol import jsonrpc, sse, versions
from meshd.protocol.jsonrpc import Reply
from meshd.proxy.http import HttpUpstream, read_all
from meshd.proxy.outbound import transport_failed
from meshd.wire.errors import NeedsLogin, UpstreamFailed, UpstreamTimeout
from meshd.wire.version import VERSION

CALL_DEADLINE = 300.0


class _Lost(Exception):
    """The upstream does not know our session any more."""


class HttpSession:
    """Initializes on first use, again when the upstream forgot the session, and asks."""

    def __init__(self, upstream: HttpUpstream, shown: str) -> None:
        self._upstream = upstream
        self._shown = shown
        self._ids = itertools.count(1)
        self._opening = asyncio.Lock()
        self._session: str | None = None
        self._version: str | None = None
        self.initialize_result: bytes | None = None

    async def open(self) -> bytes:
        """The raw result of `initialize`, asked for if there is no session yet.

        Raises:
            UpstreamFailed, NeedsLogin, UpstreamTimeout: as `request`.
        """
        async with self._opening:
            if self.initialize_result is None:
                await self._initialize()
            assert self.initialize_result is not None  # noqa: S101 - set just above
            return self.initialize_result

    async def request(
        self, method: str, params: bytes = b"", *, deadline: float = CALL_DEADLINE
    ) -> Reply:
        """Ask and wait for the answer, at most `deadline` seconds.

        A forgotten session is opened anew once: the upstream refused the request unprocessed.

        Raises:
            UpstreamFailed: the server cannot be reached, broke off, or answered nonsense.
            NeedsLogin: it refused our credentials.
            UpstreamTimeout: no answer in time.
        """
        try:
            async with asyncio.timeout(deadline):
                await self.open()
                try:
                    return await self._ask(method, params)
                except _Lost:
                    self.initialize_result = None
                    await self.open()
                    return await self._ask(method, params)
        except TimeoutError:
            raise UpstreamTimeout(f"{self._shown} did not answer within {deadline:g} s") from None
        except _Lost:
            raise UpstreamFailed(f"{self._shown} forgets its sessions at once") from None

    async def close(self) -> None:
        """End the session at the upstream, if it will hear it."""
        if self._session is not None:
            try:
                async with asyncio.timeout(2):
                    await self._upstream.delete(session=self._session, version=self._version)
            except (UpstreamFailed, UpstreamTimeout, TimeoutError):
                pass  # the session is the upstream's to forget
        self._session = self.initialize_result = None

    async def _initialize(self) -> None:
        self._session = self._version = None
        params = msgspec.json.encode(
            {
                "protocolVersion": versions.LATEST_HANDSHAKE,
                "capabilities": {},
                "clientInfo": {"name": "meshctl", "version": VERSION},
            }
        )
        reply = await self._ask("initialize", params, learns=True)
        if reply.result is None:
            raise UpstreamFailed(f"{self._shown} refused to initialize: {_message(reply.error)}")
        try:
            result = msgspec.json.decode(reply.result)
            self._version = str(result["protocolVersion"])
        except (msgspec.DecodeError, KeyError, TypeError):
            raise UpstreamFailed(f"{self._shown} answered initialize without a version") from None
        if self._version not in versions.HANDSHAKE:
            raise UpstreamFailed(f"{self._shown} speaks {self._version[:20]!r}, which is not known")
        await self._tell(jsonrpc.notification("notifications/initialized"))
        self.initialize_result = reply.result

    async def _tell(self, body: bytes) -> None:
        response = await self._upstream.post(body, session=self._session, version=self._version)
        response.release()

    async def _ask(self, method: str, params: bytes, *, learns: bool = False) -> Reply:
        ident = next(self._ids)
        body = jsonrpc.request(ident, method, params)
        response = await self._upstream.post(body, session=self._session, version=self._version)
        try:
            self._check(response, learns=learns)
            if learns:
                self._session = response.headers.get("Mcp-Session-Id")
            if response.content_type == "text/event-stream":
                async for data in _events(response, self._shown):
                    if (reply := await self._consider(data, ident)) is not None:
                        return reply
                raise UpstreamFailed(f"{self._shown} closed the stream without an answer")
            reply = await self._consider(await read_all(response, self._shown), ident)
            if reply is None:
                raise UpstreamFailed(f"{self._shown} answered something else than was asked")
            return reply
        finally:
            response.close()

    def _check(self, response: aiohttp.ClientResponse, *, learns: bool) -> None:
        status = response.status
        if status == 404 and not learns and self._session is not None:
            raise _Lost
        if status in {401, 403}:
            raise NeedsLogin(f"{self._shown} refused the credentials (HTTP {status})")
        if not 200 <= status < 300:
            raise UpstreamFailed(f"{self._shown} answered HTTP {status}")

    async def _consider(self, data: bytes, ident: int) -> Reply | None:
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
                else jsonrpc.failure(bytes(message.id), refusal)
            )
            return None
        if bytes(message.id) != b"%d" % ident:
            return None
        result = bytes(message.result)
        return Reply(result, None) if result else Reply(None, bytes(message.error) or b"null")


async def _events(response: aiohttp.ClientResponse, shown: str) -> AsyncIterator[bytes]:
    splitter = sse.Splitter()
    try:
        async for chunk in response.content.iter_any():
            for event in splitter.feed(chunk):
                if data := sse.data_of(event):
                    yield data
    except sse.EventTooLarge:
        raise UpstreamFailed(f"{shown} sent an event that is too large") from None
    except TimeoutError:
        raise UpstreamTimeout(f"{shown} stopped in the middle of a stream") from None
    except (aiohttp.ClientError, OSError) as error:
        raise transport_failed(error, shown) from None


def _message(error: bytes | None) -> str:
    try:
        return str(msgspec.json.decode(error or b"{}").get("message", "no reason given"))[:200]
    except (msgspec.DecodeError, AttributeError):
        return "no reason given"

"""Clients of the HTTP+SSE transport, at `/mcp/{connection}/sse`: one stream, and POSTs beside it.

A client is one of the handshake era whose session ends here. What is answered to its messages goes
out on its stream. Source: MCP 2024-11-05, Transports, HTTP with SSE.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from secrets import token_urlsafe

from aiohttp import web

from meshd.core.tasks import TaskGroup
from meshd.gateway import answers
from meshd.gateway.departure import while_connected
from meshd.gateway.exchange import Exchange
from meshd.gateway.hearing import KEEP_ALIVE
from meshd.gateway.serving import SharedServing
from meshd.gateway.sessions import Sessions
from meshd.protocol import sse
from meshd.proxy.http import SESSION
from meshd.services.directory import ConnectionRow
from meshd.services.failures import failure
from meshd.services.grants import SELF
from meshd.services.principal import Principal
from meshd.vault.seal import Session
from meshd.wire.errors import MeshError, NotFound, TooMany

WORD = "/sse"
"""How the path of this transport ends."""
MAX_UNDER_WAY = 256
"""Messages of one client that are being answered."""
MAX_UNREAD = 32 * 1024 * 1024
"""Bytes kept for a client that does not read; one that is further behind loses its stream."""
LISTEN_AGAIN = 5.0
"""Seconds before an upstream that ended its stream is heard again."""


Work = Callable[[], Awaitable[web.StreamResponse]]
"""Answers a message."""


class SseClient:
    """One stream: whose it is, and what waits to be written to it."""

    def __init__(self, request: web.BaseRequest, who: Principal, row: ConnectionRow) -> None:
        self.id = token_urlsafe(32)
        self.who = who
        self.row = row
        self.session: Session | None = None
        """From `initialize` on."""
        self.changes: asyncio.Task[None] | None = None
        """Tells it what changed in that session."""
        self.tasks = TaskGroup(f"sse client {row.name}")
        self._request = request
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue()
        self._unread = 0

    @property
    def streams(self) -> bool:
        """It takes whatever comes before an answer."""
        return True

    def hear(self, message: bytes) -> None:
        """Have a message sent."""
        self._put(sse.message(message))

    async def write(self, event: bytes) -> None:
        """Have an event sent that is whole already."""
        self._put(event)

    async def stop(self) -> None:
        """Nothing is open for one request alone."""

    async def end(self, body: bytes) -> web.StreamResponse:
        """The answer to a request; nothing for an empty body."""
        if body:
            self.hear(body)
        return answers.accepted()

    def present(self) -> bool:
        """Whether the stream is still there."""
        return self._request.transport is not None

    async def pour(self, answer: web.StreamResponse, admitted: Callable[[], bool]) -> None:
        """Write what waits, for as long as the client is `admitted`."""
        while True:
            event = sse.COMMENT
            with suppress(TimeoutError):
                async with asyncio.timeout(KEEP_ALIVE):
                    event = await self._waiting.get()
                    self._unread -= len(event)
            if not admitted():
                return
            await answer.write(event)

    def _put(self, event: bytes) -> None:
        self._unread += len(event)
        if self._unread > MAX_UNREAD:
            if self._request.transport is not None:
                self._request.transport.abort()
        else:
            self._waiting.put_nowait(event)


class SseClients:
    """All that are connected."""

    def __init__(self, serving: SharedServing, sessions: Sessions) -> None:
        self._serving = serving
        self._sessions = sessions
        self._clients: dict[str, SseClient] = {}

    async def stream(
        self,
        request: web.BaseRequest,
        who: Principal,
        row: ConnectionRow,
        admitted: Callable[[], bool],
    ) -> web.StreamResponse:
        """Keep a client's stream until it hangs up, or is no longer `admitted`."""
        client = SseClient(request, who, row)
        self._clients[client.id] = client
        answer = web.StreamResponse(headers=answers.SSE_HEADERS)
        try:
            await answer.prepare(request)
            query = request.rel_url.query  # the mode of a virtual MCP stands on each message
            place = request.rel_url.with_query(
                {name: query[name] for name in ("mode",) if name in query} | {"session": client.id}
            ).raw_path_qs
            await answer.write(sse.event("endpoint", place.encode()))
            await while_connected(request, client.pour(answer, admitted))
            await answer.write_eof()
        finally:
            del self._clients[client.id]
            await client.tasks.stop()
            if client.session is not None:
                self._serving.forget(client.session)
        return answer

    def of(self, ident: str, who: Principal, row: ConnectionRow) -> SseClient:
        """The client that this principal has at this connection.

        Raises:
            NotFound: it has none of that id.
            TooMany: it waits for too many answers already.
        """
        client = self._clients.get(ident)
        if client is None or (client.who.id, client.row.id) != (who.id, row.id):
            raise NotFound("there is no such session")
        if len(client.tasks) >= MAX_UNDER_WAY:
            raise TooMany(f"this client waits for {MAX_UNDER_WAY} answers already")
        return client

    def take(self, client: SseClient, exchange: Exchange, work: Work) -> web.Response:
        """Have a message answered on the stream of its client."""
        client.tasks.start("message", self._answer(client, exchange, work))
        return answers.accepted()

    async def _answer(self, client: SseClient, exchange: Exchange, work: Work) -> None:
        ident = bytes(exchange.message.id)
        try:
            answer = await work()
        except MeshError as error:
            answer = answers.rpc_failure(error, ident)
        except Exception as error:  # noqa: BLE001 - whatever it is, it has an answer
            answer = answers.rpc_failure(failure(error, "a message over HTTP+SSE"), ident)
        token = answer.headers.get(SESSION)
        if token is not None:
            self._begin(client, self._sessions.open(token, client.who, client.row))
        if exchange.message.is_request and isinstance(answer, web.Response) and answer.body:
            client.hear(answer.body)  # type: ignore[arg-type]  # ours are bytes

    def _begin(self, client: SseClient, session: Session | None) -> None:
        """A client that initializes again begins anew: what it had set before is forgotten."""
        if client.session is not None:
            self._serving.forget(client.session)
        if client.changes is not None:
            client.changes.cancel()
        client.session = session
        if client.row.transport != SELF:
            client.changes = client.tasks.start("changes", self._tell_changes(client, session))

    async def _tell_changes(self, client: SseClient, session: Session | None) -> None:
        while True:
            with suppress(MeshError):
                await self._serving.follow(
                    client, client.who, client.row, session, lambda: True, client.present
                )
            await asyncio.sleep(LISTEN_AGAIN)

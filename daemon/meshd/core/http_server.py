"""An HTTP server on one listening socket: who is let in, what no handler sees, and a quiet end.

The sweep for what takes too long runs here. What the requests mean is for the sites.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import cast

from aiohttp import http_parser, web
from aiohttp.http import HttpVersion10, HttpVersion11

from meshd.core.answers import error_answer, requests_up_to
from meshd.core.clock import Clock
from meshd.core.http_connection import Connection
from meshd.core.http_handshakes import Handshakes
from meshd.core.http_limits import LIMITS, Crowd, Limits, connections
from meshd.core.http_peers import Peers
from meshd.core.tasks import TaskGroup
from meshd.wire.errors import BadRequest, Denied, MeshError, Unavailable

BACKLOG = 1024
VERSIONS = frozenset({HttpVersion10, HttpVersion11})
MAX_BODY = 4 * 1024 * 1024
END = 0.5
"""Seconds for answers to be written out, once nothing is under way."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def check_parser() -> None:
    """Refuse to serve with aiohttp's parser in Python, which reads what the one in C refuses.

    Raises:
        Unavailable: the C parser was not built, or is switched off.
    """
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise Unavailable(
            "aiohttp's HTTP parser in C is missing",
            facts={"why": "the one in Python takes requests that others read differently"},
            next="pip install --force-reinstall aiohttp",
        )


class HttpServer(web.Server):
    """Serves `handler`, once `open` was called and until `close`.

    Without `strangers` every connection is known at once.
    """

    def __init__(
        self,
        handler: Handler,
        clock: Clock,
        *,
        strangers: bool = True,
        limits: Limits | None = None,
        peers: Peers | None = None,
    ) -> None:
        super().__init__(self._answer, request_factory=requests_up_to(MAX_BODY))
        limits = limits or LIMITS
        most = connections(limits)
        self.limits = replace(
            limits, connections=most, strangers=limits.strangers if strangers else most
        )
        self.now = clock.monotonic
        self._handler = handler
        self._peers = peers or Peers()
        self._crowd: Crowd[Connection] = Crowd(self.limits)
        self._runner = web.ServerRunner(self, shutdown_timeout=END)
        self._tasks = TaskGroup("http")
        self._under_way = 0
        self._draining = False
        self._quiet = asyncio.Event()
        self._listening: asyncio.Server | Handshakes | None = None

    def __call__(self) -> Connection:
        """A connection, for asyncio's server."""
        return Connection(self, self, self._loop)

    async def open(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Serve on a bound socket."""
        await self._runner.setup()
        if tls is None:
            self._listening = await self._loop.create_server(self, sock=listener, backlog=BACKLOG)
        else:
            self._listening = handshakes = Handshakes(self, self, tls, self._tasks)
            handshakes.open(listener, BACKLOG)
        self._tasks.start("sweep", self._sweep())

    async def close(self, hurry: asyncio.Event) -> None:
        """Accept nothing more and answer 503; what is under way gets its time, unless in a hurry.

        May be called before `open`.
        """
        self._draining = True
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for connection in self.connections:
            cast("Connection", connection).part()
        if self._under_way:
            self._tasks.start("hurry", self._heed(hurry))
            with suppress(TimeoutError):
                async with asyncio.timeout(self.limits.drain):
                    await self._quiet.wait()
        if self._under_way:
            for connection in self.connections:
                cast("Connection", connection).cut()
        await self._tasks.stop()
        await self._runner.cleanup()

    async def _heed(self, hurry: asyncio.Event) -> None:
        await hurry.wait()
        self._quiet.set()

    def enter(self, connection: Connection) -> None:
        """Let a connection in.

        Raises:
            Denied: its address may not connect.
            Unavailable: the house is full, or being closed.
        """
        if self._draining:
            raise Unavailable("the daemon is stopping")
        if not self._peers.may_enter(connection.address):
            raise Denied(
                "without TLS only trusted proxies may connect",
                facts={"add it with": "TRUSTED_PROXIES"},
            )
        self._crowd.enter(connection, self.now())
        if self._peers.is_proxy(connection.address):
            self._crowd.trust(connection)

    @property
    def crowd(self) -> int:
        """Connections that are open."""
        return len(self._crowd)

    @property
    def under_way(self) -> int:
        """Requests that are being answered, streams included."""
        return self._under_way

    def leave(self, connection: Connection) -> None:
        """A connection is gone."""
        self._crowd.leave(connection)

    def trust(self, request: web.BaseRequest) -> None:
        """Who sent this request is known: its connection takes no stranger's place."""
        self._crowd.trust(cast("Connection", request.protocol))

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = cast("Connection", request.protocol)
        if (wrong := self._wrong(request, connection)) is not None:
            return refusal(wrong)
        connection.begins()
        self._under_way += 1
        try:
            answer = await self._handler(request)
        finally:
            self._under_way -= 1
            if self._draining and not self._under_way:
                self._quiet.set()
            connection.rests()
        if self._draining or not request.content.is_eof() or "Upgrade" in request.headers:
            answer.force_close()
        return answer

    def _wrong(self, request: web.BaseRequest, connection: Connection) -> MeshError | None:
        if connection.refusal is not None:
            return connection.refusal
        if self._draining:
            return Unavailable("the daemon is stopping")
        return ambiguity(request)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self.limits.sweep)
            now = self.now()
            self._crowd.thin(now)
            for connection in self.connections:
                cast("Connection", connection).look(now)


def ambiguity(request: web.BaseRequest) -> MeshError | None:
    """What the parser lets pass though two readers could understand it differently.

    Source: RFC 9112, sections 2.3, 3.2 and 6.1.
    """
    target = request.raw_path
    if not target.startswith("/") or "#" in target:
        return BadRequest("the request's target must be a path")
    if request.version not in VERSIONS:
        return BadRequest("the versions of HTTP are 1.0 and 1.1")
    coding = request.headers.get("Transfer-Encoding")
    if coding is not None and (coding.lower() != "chunked" or request.version is HttpVersion10):
        return BadRequest("the only Transfer-Encoding is chunked, and only in version 1.1")
    return None


def refusal(error: MeshError) -> web.Response:
    """The answer after which a connection ends."""
    answer = error_answer(error)
    answer.force_close()
    if error.status == 503:
        answer.headers["Retry-After"] = "1"
    return answer

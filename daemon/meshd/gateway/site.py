"""The TCP site: gate, authentication, and the way to MCP or to the control calls."""

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from meshd.core.answers import error_answer, json_answer
from meshd.core.clock import Clock
from meshd.core.http_peers import Peers
from meshd.core.http_server import HttpServer
from meshd.gateway.answers import gone, rpc_error
from meshd.gateway.bearer import CHALLENGE, authenticate
from meshd.gateway.endpoint import Endpoint
from meshd.gateway.gate import Gate
from meshd.gateway.streams import OpenStreams
from meshd.services.failures import failure
from meshd.services.keys import Keys
from meshd.services.principal import Principal
from meshd.wire.errors import (
    Conflict,
    MeshError,
    MethodNotAllowed,
    NotFound,
    Unauthenticated,
    Unavailable,
)

log = logging.getLogger(__name__)

DEFAULT_PORT = 3000
TRIES = 100

Control = Callable[[web.BaseRequest, Principal], Awaitable[web.StreamResponse]]
Ready = Callable[[], Awaitable[bool]]


class TcpSite:
    """Serves clients over TCP. Nothing but `/health` and `/ready` answers without a key."""

    def __init__(
        self,
        keys: Keys,
        endpoint: Endpoint,
        control: Control,
        ready: Ready,
        clock: Clock,
        peers: Peers,
    ) -> None:
        """`ready` says whether calls can be served, not only answered."""
        self._keys = keys
        self._endpoint = endpoint
        self._control = control
        self._ready = ready
        self._gate: Gate | None = None
        self._streams = OpenStreams()
        self._server = HttpServer(self._handle, clock, peers=peers)

    async def start(
        self, listener: socket.socket, gate: Gate, tls: ssl.SSLContext | None = None
    ) -> None:
        """Serve on a bound socket."""
        self._gate = gate
        await self._server.open(listener, tls)

    async def stop(self, hurry: asyncio.Event) -> None:
        """Stop listening; calls under way get their time, open streams end at once."""
        self._streams.end()
        self._endpoint.end_streams()
        await self._server.close(hurry)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        started = time.perf_counter()
        path = request.rel_url.raw_path
        is_mcp = path.startswith("/mcp")
        try:
            return await self._route(request, path, started)
        except MeshError as error:
            answer = rpc_error(error) if is_mcp else error_answer(error)
            if isinstance(error, Unauthenticated):
                answer.headers.update(CHALLENGE)
            return answer
        except ConnectionError:
            return gone(request)
        except Exception as error:  # noqa: BLE001 - whatever it is, it has an answer
            known = failure(error, f"{request.method} {path}")
            return rpc_error(known) if is_mcp else error_answer(known)

    async def _route(
        self, request: web.BaseRequest, path: str, started: float
    ) -> web.StreamResponse:
        if self._gate is None:
            raise Unavailable("the daemon is starting")
        wrong = self._gate.check(request.headers)
        if wrong is not None:
            raise wrong
        if path in {"/health", "/ready"}:
            if request.method not in {"GET", "HEAD"}:
                raise MethodNotAllowed
            if path == "/ready" and not await self._ready():
                raise Unavailable("the daemon is not ready")
            return json_answer({"status": "ok"})
        if path.startswith(("/mcp/", "/v1/")) and "/.well-known" not in path:
            principal = self._authenticate(request)
            if path.startswith("/mcp/"):
                if request.method != "GET":
                    return await self._endpoint.handle(request, principal, path[5:], started)
                with self._streams.one(principal.id):
                    return await self._endpoint.handle(request, principal, path[5:], started)
            return await self._control(request, principal)
        raise NotFound("nothing is here")

    def _authenticate(self, request: web.BaseRequest) -> Principal:
        principal = authenticate(self._keys, request.headers)
        self._server.trust(request)
        return principal


def bind(host: str, port: int | None, remembered: int | None) -> socket.socket:
    """A listening socket on the given port; without one on the remembered, else the next free.

    Raises:
        Conflict: the given port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    first = port if port is not None else (remembered or DEFAULT_PORT)
    candidates = [first] if port is not None else [*range(first, min(first + TRIES, 65536)), 0]
    for candidate in candidates:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, candidate))
        except OSError:
            sock.close()
            continue
        return sock
    raise Conflict(f"port {port} on {host} is taken", next="meshctl daemon start --port 0")

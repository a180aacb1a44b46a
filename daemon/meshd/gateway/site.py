"""The TCP site: the gate, health, and the way to what stands behind it."""

import asyncio
import logging
import socket
import ssl
import time

from aiohttp import web

from meshd.core.answers import error_answer, json_answer
from meshd.core.clock import Clock
from meshd.core.http_peers import Peers
from meshd.core.http_server import HttpServer
from meshd.gateway.answers import gone, rpc_error
from meshd.gateway.bearer import CHALLENGE
from meshd.gateway.gate import Gate
from meshd.gateway.inside import Inside
from meshd.gateway.metrics_page import MetricsPage
from meshd.gateway.plain import is_plain
from meshd.services.failures import failure
from meshd.wire.errors import (
    Conflict,
    MeshError,
    MethodNotAllowed,
    Unauthenticated,
    Unavailable,
)

log = logging.getLogger(__name__)

DEFAULT_PORT = 3000
TRIES = 100


class TcpSite:
    """Serves clients over TCP. Only `/health` and `/ready` answer without key or signature.

    `/metrics` does where the settings say so.
    """

    def __init__(self, inside: Inside, metrics: MetricsPage, clock: Clock, peers: Peers) -> None:
        self._inside = inside
        self._metrics = metrics
        self._gate: Gate | None = None
        self.server = HttpServer(self._handle, clock, peers=peers)

    def lead_to(self, inside: Inside) -> None:
        """From now on, what passes the gate comes there."""
        self._inside = inside

    async def start(
        self, listener: socket.socket, gate: Gate, tls: ssl.SSLContext | None = None
    ) -> None:
        """Serve on a bound socket."""
        self._gate = gate
        await self.server.open(listener, tls)

    async def stop(self, hurry: asyncio.Event) -> None:
        """Stop listening; calls under way get their time, open streams end at once."""
        self._inside.end_streams()
        await self.server.close(hurry)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        started = time.perf_counter()
        path = request.rel_url.raw_path
        is_mcp = path.startswith("/mcp") and not is_plain(path)
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
            if path == "/ready":
                await self._inside.check_ready()
            return json_answer({"status": "ok"})
        if self._metrics.serves(path):
            return await self._metrics.answer(request, self.server.trust)
        return await self._inside.answer(request, started, self.server.trust)


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

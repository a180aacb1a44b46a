"""The debug site: what the process is doing, on a loopback port of its own, off by default.

The loopback is no authentication: a key needs `self/daemon.show` and an instance admin as owner.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from meshd.core import diagnostics
from meshd.core.answers import error_answer, json_answer
from meshd.core.clock import Clock
from meshd.core.http_server import HttpServer
from meshd.gateway.bearer import CHALLENGE, authorize
from meshd.gateway.gate import Gate
from meshd.services.failures import failure
from meshd.services.keys import Keys
from meshd.wire.calls.daemon import SHOW
from meshd.wire.errors import Locked, MethodNotAllowed, NotFound, Unauthenticated

PAGES: Mapping[tuple[str, str], Callable[[], Any]] = {
    ("GET", "/tasks"): diagnostics.tasks,
    ("GET", "/threads"): diagnostics.threads,
    ("GET", "/memory"): diagnostics.memory,
    ("POST", "/gc"): diagnostics.collect,
}


class DebugSite:
    """Serves `PAGES` as JSON to who may see the inside of the daemon."""

    def __init__(self, keys: Keys, clock: Clock, locked: Callable[[], bool]) -> None:
        """While it is `locked`, nobody is let in."""
        self._keys = keys
        self._locked = locked
        self._gate: Gate | None = None
        self._server = HttpServer(self._handle, clock)

    async def start(self, listener: socket.socket) -> None:
        """Serve on a bound socket."""
        self._gate = Gate(listener.getsockname()[1], None)
        await self._server.open(listener)

    async def stop(self) -> None:
        """Stop at once; nothing here is worth waiting for."""
        hurry = asyncio.Event()
        hurry.set()
        await self._server.close(hurry)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return json_answer(self._page(request))
        except Unauthenticated as error:
            answer = error_answer(error)
            answer.headers.update(CHALLENGE)
            return answer
        except Exception as error:  # noqa: BLE001 - whatever it is, it has an answer
            return error_answer(failure(error, f"{request.method} debug {request.path}"))

    def _page(self, request: web.BaseRequest) -> Any:
        wrong = self._gate.check(request.headers) if self._gate else NotFound("not yet")
        if wrong is not None:
            raise wrong
        if self._locked():
            raise Locked("the vault is locked", next="meshctl vault unlock")
        authorize(self._keys, request.headers, SHOW)
        page = PAGES.get((request.method, request.path))
        if page is None:
            paths = {path for _, path in PAGES}
            raise MethodNotAllowed if request.path in paths else NotFound("nothing is here")
        return page()

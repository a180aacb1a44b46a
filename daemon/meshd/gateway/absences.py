"""Requests of handshake clients that went away: cancelled upstream, unless they come back in time.

A lost connection alone withdraws nothing, for the client may take up the stream of its answer
again. Source: MCP 2025-11-25, Transports, "Sending Messages to the Server" and "Resumability and
Redelivery". In the other era it is the cancellation: `departure`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import cast

from aiohttp import web

from meshd.core.http_connection import Connection
from meshd.core.tasks import TaskGroup
from meshd.gateway.departure import while_connected
from meshd.gateway.exchange import Exchange, Record
from meshd.gateway.revived import Revived
from meshd.protocol import jsonrpc
from meshd.services.directory import ConnectionRow
from meshd.services.upstreams import Upstreams
from meshd.vault.seal import Session
from meshd.wire.errors import MeshError

GRACE = 30.0
"""Seconds in which a client may come back."""
MOST = 1024
"""Requests that wait for their clients; beyond that they are cancelled at once."""
AWAY = "the client went away"


class Absences:
    """Requests in sessions of HTTP upstreams, which may keep an answer for who comes back.

    Such an upstream sees the connection lost as its client's own was, so that the stream is free
    to be taken up again.
    """

    def __init__(self, upstreams: Upstreams, revived: Revived) -> None:
        self._upstreams = upstreams
        self._revived = revived
        self._tasks = TaskGroup("absent")
        self._of: dict[bytes, set[asyncio.Task[None]]] = {}

    async def attend(
        self, exchange: Exchange, record: Record, work: Awaitable[web.StreamResponse]
    ) -> web.StreamResponse:
        """Do the work on an exchange while its client is there.

        Raises:
            ConnectionError: it went away.
        """
        if not exchange.message.is_request:
            return await work
        try:
            return await while_connected(exchange.request, work)
        except ConnectionError:
            if not exchange.watch.upstream:  # else it was answered, and that is recorded
                exchange.watch.upstream = exchange.watch.answered = time.perf_counter()
                record(exchange, None, AWAY)
                self._leave(exchange)
            raise

    def forget(self, session: Session | None) -> None:
        """The client came back, or ended its session: nothing is cancelled."""
        for task in self._of.get(session.id, ()) if session is not None else ():
            task.cancel()

    def end(self) -> None:
        """The daemon stops, and its connections with it."""
        for tasks in self._of.values():
            for task in tasks:
                task.cancel()

    def _leave(self, exchange: Exchange) -> None:
        session, ident = exchange.session, bytes(exchange.message.id)
        known = self._revived.present(session)
        if session is None or known is None:
            return  # outside of a session the upstream could not tell whose request is meant
        pause = GRACE if len(self._tasks) < MOST else 0.0
        cancel = self._cancel(pause, exchange.row, ident, known, exchange.version)
        task = self._tasks.start("request", cancel)
        self._of.setdefault(session.id, set()).add(task)
        task.add_done_callback(partial(self._ended, session.id))

    def _ended(self, ident: bytes, task: asyncio.Task[None]) -> None:
        left = self._of[ident]
        left.discard(task)
        if not left:
            del self._of[ident]

    async def _cancel(
        self, pause: float, row: ConnectionRow, ident: bytes, session: str, version: str | None
    ) -> None:
        await asyncio.sleep(pause)
        about = b'{"requestId":%b,"reason":"%b"}' % (ident, AWAY.encode())
        message = jsonrpc.notification("notifications/cancelled", about)
        with suppress(MeshError):
            upstream = self._upstreams.http(row)
            (await upstream.post(message, session=session, version=version)).release()


class Patience:
    """Requests that are worked on here, also for a while after their client went away."""

    def __init__(self) -> None:
        self._left: dict[Callable[[], None], asyncio.TimerHandle] = {}
        self._ended = False

    @contextmanager
    def waits(self, exchange: Exchange, give_up: Callable[[], None]) -> Iterator[None]:
        """Give up what is done for a client whose connection was lost, `GRACE` seconds later."""
        if exchange.voice is not None:  # which outlives the request's own connection
            yield
            return

        def lost() -> None:
            pause = 0.0 if self._ended else GRACE
            self._left[give_up] = asyncio.get_running_loop().call_later(pause, give_up)

        connection = cast("Connection", exchange.request.protocol)
        connection.on_lost = lost
        if exchange.request.transport is None:  # it was lost before
            lost()
        try:
            yield
        finally:
            connection.on_lost = None
            if (timer := self._left.pop(give_up, None)) is not None:
                timer.cancel()

    def end(self) -> None:
        """The daemon stops, and nobody can come back to it: it waits for none of them."""
        self._ended = True
        for give_up in tuple(self._left):
            give_up()

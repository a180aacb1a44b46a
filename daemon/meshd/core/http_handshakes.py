"""TLS handshakes of clients: each takes its connection's place from the accept on.

asyncio's server tells a protocol neither that a handshake began nor that it failed, so that one
which never ends would be counted nowhere. What is spoken afterwards is `http_connection`'s.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

from meshd.core.http_connection import Connection, House
from meshd.core.tasks import TaskGroup
from meshd.wire.errors import MeshError

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds until the next accept, after the system had no file for one."""


class Handshakes:
    """Accepts from a listening socket, until `close`.

    Who is not let in is hung up on: an answer that it could read would cost a handshake.
    """

    def __init__(
        self, house: House, make: Callable[[], Connection], tls: ssl.SSLContext, tasks: TaskGroup
    ) -> None:
        """What is under way runs in `tasks`, and ends with them."""
        self._house = house
        self._make = make
        self._tls = tls
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._accepting: asyncio.Task[None] | None = None

    def open(self, listener: socket.socket, backlog: int) -> None:
        """Accept from a bound socket; it is closed in the end."""
        listener.setblocking(False)
        listener.listen(backlog)
        self._accepting = self._tasks.start("accept", self._accept(listener))

    def close(self) -> None:
        """Accept nothing more."""
        if self._accepting is not None:
            self._accepting.cancel()

    async def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                try:
                    wire, address = await self._loop.sock_accept(listener)
                except ConnectionAbortedError:
                    continue
                except OSError as error:
                    log.warning("no connection can be accepted: %s", error.strerror)
                    await asyncio.sleep(PAUSE)
                    continue
                self._welcome(wire, address[0])
                await asyncio.sleep(0)  # a full queue is accepted without one more wait

    def _welcome(self, wire: socket.socket, address: str) -> None:
        connection = self._make()
        connection.address = address
        try:
            self._house.enter(connection)
        except MeshError:
            wire.close()
            return
        connection.handshake = self._tasks.start("handshake", self._shake(wire, connection))

    async def _shake(self, wire: socket.socket, connection: Connection) -> None:
        done = False
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection,
                wire,
                ssl=self._tls,
                ssl_handshake_timeout=self._house.limits.head,
            )
            done = True
        except OSError as error:  # ssl.SSLError and what came too late, too
            log.debug("a TLS handshake failed: %s", error)
        finally:
            if not done:
                self._house.leave(connection)

"""Requests of handshake clients that are under way, so that their clients can withdraw them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_bytes

from meshd.gateway.exchange import Exchange
from meshd.protocol.members import members


class Waiting:
    """A request that waits for its answer, until its client withdraws it."""

    def __init__(self, task: asyncio.Task[object] | None) -> None:
        self._task = task
        self.withdrawn = False

    def withdraw(self) -> None:
        """Stop waiting; the upstream is told."""
        if self._task is not None and not self.withdrawn:
            self.withdrawn = True
            self._task.cancel()
            self._task.uncancel()


class UnderWay:
    """All of them, by whose they are."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, bytes, bytes], Waiting] = {}

    @contextmanager
    def one(self, exchange: Exchange) -> Iterator[Waiting]:
        """The current task waits for the answer to this request."""
        key = self._key(exchange, bytes(exchange.message.id))
        mine = self._waiting[key] = Waiting(asyncio.current_task())
        try:
            yield mine
        finally:
            if self._waiting.get(key) is mine:
                del self._waiting[key]

    def cancel(self, exchange: Exchange) -> None:
        """Do what a `notifications/cancelled` asks for."""
        ident = bytes(members(exchange.message.params).get("requestId", b""))
        call = self._waiting.get(self._key(exchange, ident))
        if call is not None:
            call.withdraw()

    def _key(self, exchange: Exchange, ident: bytes) -> tuple[str, bytes, bytes]:
        """Request ids are the client's own: they count within its session only."""
        session = exchange.session
        # Without a session nobody else can name the request, so nobody else can withdraw it.
        return exchange.who.id, session.id if session is not None else token_bytes(16), ident

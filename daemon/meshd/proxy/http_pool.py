"""The connections to all HTTP upstreams: kept while they rest, bounded, and watched for silence."""

import asyncio
import time
from typing import Self

from meshd.proxy.dial import Dialer, Resolve, Trust, transport_failed
from meshd.proxy.http_head import Place
from meshd.proxy.http_response import Response
from meshd.proxy.http_wire import Wire
from meshd.proxy.wake import WakeWatch
from meshd.wire.errors import Unavailable

CONNECT_TIMEOUT = 30.0
KEEP = 30.0
"""Seconds for which a connection rests before it is closed."""
MAX_OPEN = 1000
"""Connections to one place; every stream that a client holds open is one."""
LOOKS = 10
"""Looks at each connection within the shorter of its deadlines, so that none needs a timer."""


class Origin:
    """The connections to one place."""

    def __init__(self, pool: "HttpPool", dialer: Dialer, bound: int) -> None:
        self.open: set[Wire] = set()
        self._pool = pool
        self._dialer = dialer
        self._bound = bound
        self._dialing = 0
        self._resting: list[Wire] = []

    async def ask(self, request: bytes, shown: str) -> Response:
        """Send a request over a connection that rests, else over one more.

        Raises:
            UpstreamFailed: it cannot be reached, broke off, or answers no HTTP.
            UpstreamTimeout: it cannot be reached, or did not answer, in time.
            Unavailable: it has too many connections already.
        """
        self._pool.look_for_sleep()
        while self._resting:
            wire = self._resting.pop()
            if wire.is_usable():
                return await wire.ask(request, shown)
            wire.abort()
        return await (await self._connect(shown)).ask(request, shown)

    def put(self, wire: Wire) -> None:
        """Keep it for the next request; what was used last is used first."""
        self._resting.append(wire)

    def lost(self, wire: Wire) -> None:
        """Forget it."""
        self.open.discard(wire)
        if wire in self._resting:
            self._resting.remove(wire)
        self._pool.lost()

    def drop_resting(self) -> None:
        """Close what rests, and look the name up anew."""
        for wire in tuple(self._resting):
            wire.abort()
        self._dialer.forget()

    async def _connect(self, shown: str) -> Wire:
        if len(self.open) + self._dialing >= self._bound:
            raise Unavailable(f"{shown} has {self._bound} requests under way")
        loop = asyncio.get_running_loop()
        self._dialing += 1
        try:
            wire = await self._dialer.connect(lambda: Wire(self, loop))
            if wire.closed:
                raise ConnectionResetError("it closed the connection at once")
        except OSError as error:
            raise transport_failed(error, shown) from None
        finally:
            self._dialing -= 1
        self.open.add(wire)
        self._pool.opened(wire)
        return wire


class HttpPool:
    """All origins. Made and used within one event loop; leaving its block closes everything."""

    def __init__(
        self,
        resolve: Resolve,
        trust: Trust,
        *,
        patience: float,
        connect_patience: float = CONNECT_TIMEOUT,
        keep: float = KEEP,
        bound: int = MAX_OPEN,
        wake: WakeWatch | None = None,
    ) -> None:
        """Take seconds: `patience` with a silent upstream, `keep` for connections at rest."""
        self._wake = wake or WakeWatch(time.monotonic, time.time)
        self._resolve = resolve
        self._trust = trust
        self._patience = patience
        self._connect_patience = connect_patience
        self._keep = keep
        self._bound = bound
        self._origins: dict[Place, Origin] = {}
        self._watch: asyncio.TimerHandle | None = None
        self._closing: asyncio.Future[None] | None = None

    def origin(self, place: Place) -> Origin:
        """The connections to a place."""
        known = self._origins.get(place)
        if known is None:
            dialer = Dialer(place, self._resolve, self._trust, self._connect_patience)
            known = self._origins[place] = Origin(self, dialer, self._bound)
        return known

    def look_for_sleep(self) -> None:
        """After the machine slept, the other ends of resting connections are gone unnoticed."""
        if self._wake.woke():
            for origin in self._origins.values():
                origin.drop_resting()

    def opened(self, wire: Wire) -> None:
        """A connection has opened; from now on it is looked at.

        Raises:
            Unavailable: the pool is closed, so nobody would close it.
        """
        if self._closing is not None:
            wire.abort()
            raise Unavailable("the daemon is stopping")
        self._watch_on()

    def lost(self) -> None:
        """A connection has closed."""
        if self._closing is not None and not self._closing.done() and not self._wires():
            self._closing.set_result(None)

    async def close(self) -> None:
        """Close every connection, and wait until each is."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_future()
            if self._watch is not None:
                self._watch.cancel()
            for wire in self._wires():
                wire.abort()
            self.lost()
        await self._closing

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _look(self) -> None:
        self._watch = None
        wires = self._wires()
        for wire in wires:
            wire.check(self._keep, self._patience)
        if wires:
            self._watch_on()

    def _watch_on(self) -> None:
        if self._watch is None:
            pause = min(self._keep, self._patience) / LOOKS
            self._watch = asyncio.get_running_loop().call_later(pause, self._look)

    def _wires(self) -> list[Wire]:
        return [wire for origin in self._origins.values() for wire in origin.open]

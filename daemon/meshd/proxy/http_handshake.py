"""An HTTP upstream of the handshake era, asked in the stateless shape.

What a client of the stateless era declares is fixed in a session there, so clients that differ have
sessions that differ: one for each principal and what it declared. Nobody's answers reach another's.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Protocol

from msgspec import Raw

from meshd.core.tasks import TaskGroup
from meshd.protocol import jsonrpc
from meshd.protocol.input_required import ERRORS, RESPONSES, RETRIED, STATE
from meshd.protocol.jsonrpc import Reply
from meshd.protocol.members import joined, members, text
from meshd.protocol.subscriptions import CHANGES, Filter, acknowledgement, offered, read_filter
from meshd.protocol.translation import discovery
from meshd.proxy.adapter import Asker, Hear
from meshd.proxy.http_session import HandshakeSession
from meshd.proxy.parked import Call, Parking
from meshd.wire.errors import TooMany

CALL_CEILING = 3600.0
MAX_SESSIONS = 256
"""Sessions kept open; of those in which nothing is under way, the one that was used longest ago is
closed for another."""
MAX_SESSIONS_OF = 64
"""Sessions of one principal, whatever it declares: it makes no room at the cost of others."""
IDLE = 3600.0
"""Seconds without use after which a session is ended: its client does not say when it leaves."""
MAX_SESSIONS_EACH = 16
"""Sessions of one asker, where calls would have to share one in which they are not told apart.
Those after the first have room of their own, as much again; where it is full, calls share."""

_EXPIRED = "what the server asked was not answered in time; the request has to begin anew"


_Key = tuple[Asker, int]
"""For whom, and which of its sessions."""


class Begin(Protocol):
    """Makes a session that declares these capabilities, and wants these logs."""

    def __call__(self, capabilities: bytes, *, log_level: str | None = None) -> HandshakeSession:
        """A session that is not begun yet."""


class HandshakeHttp:
    """Asks one upstream, over sessions that `begin` makes."""

    def __init__(self, begin: Begin, tasks: TaskGroup) -> None:
        self.own = begin(b"{}")
        """The daemon's own session."""
        self._begin = begin
        self._tasks = tasks
        self._sessions: OrderedDict[_Key, HandshakeSession] = OrderedDict()
        self._in_use: Counter[_Key] = Counter()
        """Calls under way in each."""
        self._resting: dict[_Key, asyncio.TimerHandle] = {}
        """Ends those in which nothing is under way, in time."""
        self._parking = Parking(tasks)

    async def discover(self) -> bytes:
        """Made of its answer to `initialize`."""
        return discovery(await self.own.open())

    async def ask(self, method: str, params: Mapping[str, Raw], asker: Asker, hear: Hear) -> Reply:
        """One request, or the answers to what the server asked in one. Raises as `Adapter.ask`."""
        if STATE in params or RESPONSES in params:
            call = self._parking.take(text(params.get(STATE)), asker)
            if call is not None:
                answers, errors = (members(params.get(name, b"")) for name in (RESPONSES, ERRORS))
                return await self._parking.resume(call, answers, errors, hear)
            if STATE in params:
                return Reply(None, jsonrpc.error_object(jsonrpc.INVALID_PARAMS, _EXPIRED))
        plain = {name: value for name, value in params.items() if name not in RETRIED}
        with self._session(asker) as (key, session):

            async def work(call: Call) -> Reply:
                with self._using(key):  # longer than this, where the call is parked
                    return await session.request(
                        method, joined(plain), deadline=CALL_CEILING, attend=call.attend
                    )

            return await self._parking.begin(Call(asker, session.tell), work, hear)

    async def listen(self, wanted: Mapping[str, Raw]) -> AsyncGenerator[bytes, None]:
        """The stream of a session of its own, with the resources subscribed there.

        Raises as `Adapter.listen`.
        """
        session = self._begin(b"{}")
        try:
            said = members(await session.open())
            honoured = offered(read_filter(wanted), said.get("capabilities", Raw(b"{}")))
            for uri in tuple(honoured.resources):
                reply = await session.request("resources/subscribe", joined({"uri": uri}))
                if reply.result is None:
                    honoured.resources.remove(uri)
            yield acknowledgement(honoured)
            async with aclosing(session.heard()) as heard:
                async for message, raw in heard:
                    if _is_wanted(message.method, bytes(message.params), honoured):
                        yield raw
        finally:
            self._tasks.start("part", session.close())

    async def close(self) -> None:
        """End the sessions."""
        sessions = (self.own, *self._sessions.values())
        self._sessions.clear()
        for timer in self._resting.values():
            timer.cancel()
        self._resting.clear()
        await asyncio.gather(*(session.close() for session in sessions))

    @contextmanager
    def _using(self, key: _Key) -> Iterator[None]:
        """While a call is under way in a session, it is not closed for another."""
        self._in_use[key] += 1
        if key in self._resting:
            self._resting.pop(key).cancel()
        try:
            yield
        finally:
            self._in_use[key] -= 1
            if not self._in_use[key]:
                del self._in_use[key]
                if key in self._sessions:  # else all were closed meanwhile
                    loop = asyncio.get_running_loop()
                    self._resting[key] = loop.call_later(IDLE, self._end, key)

    def _end(self, key: _Key) -> None:
        """End a session in which nothing is under way."""
        self._resting.pop(key).cancel()
        if (session := self._sessions.pop(key, None)) is not None:
            self._tasks.start("part", session.close())

    @contextmanager
    def _session(self, asker: Asker) -> Iterator[tuple[_Key, HandshakeSession]]:
        """One for a call of this asker. It is chosen and in use at once: others may ask as well.

        Raises:
            TooMany: there is no room for its first, and something is under way in all others.
        """
        key = self._chosen(asker)
        if key not in self._sessions and not self._has_room(key):
            if key[1] == 0:
                raise TooMany("all sessions of this upstream are in use", next="try again")
            key = asker, 0  # where it is asked nothing that may be about another call
        session = self._sessions.get(key)
        if session is None:
            session = self._begin(asker.capabilities, log_level=asker.log_level)
            self._sessions[key] = session
        else:
            self._sessions.move_to_end(key)
        with self._using(key):
            yield key, session

    def _chosen(self, asker: Asker) -> _Key:
        """A session in which a question can only be about this call; the first, if none is."""
        for number in range(MAX_SESSIONS_EACH):
            key = asker, number
            session = self._sessions.get(key)
            if session is None or not (session.confuses and self._in_use[key]):
                return key
        return asker, 0

    def _has_room(self, wanted: _Key) -> bool:
        """Whether one more may begin; one in which nothing is under way is closed for it."""
        principal, is_first = wanted[0].principal, wanted[1] == 0
        alike = [key for key in self._sessions if (key[1] == 0) == is_first]
        mine = [key for key in alike if key[0].principal == principal]
        if len(mine) < MAX_SESSIONS_OF and len(alike) < MAX_SESSIONS:
            return True
        among = mine if len(mine) >= MAX_SESSIONS_OF else alike
        idle = next((key for key in among if not self._in_use[key]), None)
        if idle is not None:
            self._end(idle)
        return idle is not None


def _is_wanted(method: str, params: bytes, honoured: Filter) -> bool:
    if method == "notifications/resources/updated":
        return text(members(params).get("uri")) in honoured.resources
    return CHANGES.get(method) in honoured.changes

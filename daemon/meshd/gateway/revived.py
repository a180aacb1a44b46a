"""Sessions that an upstream forgot, begun anew for their clients, who notice nothing.

A client's own token stays as it is: what took the place of the upstream's session is kept in
memory, for as many sessions as used it last. When it is lost as well, the upstream says so again.
What the client had set in its session is set again.
"""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field

from meshd.gateway.session_state import SETTINGS, SessionState, SessionStates
from meshd.protocol.jsonrpc import Message
from meshd.protocol.members import joined, members
from meshd.protocol.versions import DEFAULT, HANDSHAKE
from meshd.proxy.http_session import HttpSession
from meshd.proxy.tries import TRIES
from meshd.services.access import decide
from meshd.services.directory import ConnectionRow
from meshd.services.principal import Principal
from meshd.services.upstreams import Upstreams
from meshd.vault.seal import Session
from meshd.wire.errors import MeshError

MAX_SESSIONS = 10_000
SETTING = 10.0
"""Seconds for setting again what was set: a client waits for that."""


@dataclass(slots=True)
class _Place:
    """What the upstream calls a session now, and who is just finding that out."""

    upstream: str | None
    finding: asyncio.Lock = field(default_factory=asyncio.Lock)


class Revived:
    """All of them."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams
        self._places: OrderedDict[bytes, _Place] = OrderedDict()
        self._states = SessionStates()

    def present(self, session: Session | None) -> str | None:
        """What the upstream calls the session."""
        if session is None or not self._places:
            return session.upstream if session is not None else None
        place = self._places.get(session.id)
        return session.upstream if place is None else place.upstream

    async def anew(
        self, who: Principal, row: ConnectionRow, session: Session, lost: str, version: str | None
    ) -> str | None:
        """What it is called from now on; however many lost the same session, one begins another.

        `version` is what the client speaks. What the server may ask it for is as it declared; the
        resources that it hears of are those that are `who`'s still.

        Raises:
            UpstreamFailed, NeedsLogin, UpstreamTimeout: the upstream begins no session.
        """
        place = self._places.setdefault(session.id, _Place(session.upstream))
        self._places.move_to_end(session.id)
        if len(self._places) > MAX_SESSIONS:
            self._places.popitem(last=False)
        async with place.finding:
            if place.upstream == lost:
                state = self._states.of(session)
                begun = HttpSession(
                    self._upstreams.http(row), row.name, session.declared.encode() or b"{}",
                    version if version in HANDSHAKE else DEFAULT, log_level=state.log_level,
                )  # fmt: skip
                place.upstream = await begun.begin()
                state.resources = {uri for uri in state.resources if _may_hear(who, row, uri)}
                try:
                    await _subscribe(begun, state)
                finally:
                    place.upstream = begun.present
        return place.upstream

    def note(self, session: Session | None, message: Message, answer: bytes) -> None:
        """The upstream answered what a client asked; what that set is set anew where it is lost."""
        if message.method in SETTINGS and session is not None and "result" in members(answer):
            self._states.of(session).apply(message.method, members(message.params))

    def forget(self, session: Session) -> None:
        """The session ended."""
        self._places.pop(session.id, None)
        self._states.forget(session)


def _may_hear(who: Principal, row: ConnectionRow, uri: str) -> bool:
    return bool(decide(who, row.id, "resource", uri, reads_only=lambda: False))


async def _subscribe(begun: HttpSession, state: SessionState) -> None:
    """Ask for the same resources again; one that is there no more is none to hear of.

    A session that is lost meanwhile begins anew by itself, and then all of it does.
    """
    with suppress(MeshError, TimeoutError):
        async with asyncio.timeout(SETTING):
            for _ in range(TRIES):
                present = begun.present
                for uri in sorted(state.resources):
                    asked = joined({"uri": uri})
                    reply = await begun.request("resources/subscribe", asked)
                    if reply.result is None:
                        state.resources.discard(uri)
                if begun.present == present:
                    return

"""Sessions that an upstream forgot, begun anew for their clients, who notice nothing.

A client's own token stays as it is: what took the place of the upstream's session is kept in
memory, for as many sessions as used it last. When it is lost as well, the upstream says so again.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from meshd.protocol.versions import DEFAULT, HANDSHAKE
from meshd.proxy.http_session import HttpSession
from meshd.services.directory import ConnectionRow
from meshd.services.upstreams import Upstreams
from meshd.vault.seal import Session

MAX_SESSIONS = 10_000


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

    def present(self, session: Session | None) -> str | None:
        """What the upstream calls the session."""
        if session is None or not self._places:
            return session.upstream if session is not None else None
        place = self._places.get(session.id)
        return session.upstream if place is None else place.upstream

    async def anew(
        self, row: ConnectionRow, session: Session, lost: str, version: str | None
    ) -> str | None:
        """What it is called from now on; however many lost the same session, one begins another.

        `version` is what the client speaks. What the server may ask it for is as it declared.

        Raises:
            UpstreamFailed, NeedsLogin, UpstreamTimeout: the upstream begins no session.
        """
        place = self._places.setdefault(session.id, _Place(session.upstream))
        self._places.move_to_end(session.id)
        if len(self._places) > MAX_SESSIONS:
            self._places.popitem(last=False)
        async with place.finding:
            if place.upstream == lost:
                begun = HttpSession(
                    self._upstreams.http(row), row.name, session.declared.encode() or b"{}",
                    version if version in HANDSHAKE else DEFAULT,
                )  # fmt: skip
                place.upstream = await begun.begin()
        return place.upstream

    def forget(self, session: Session) -> None:
        """The session ended."""
        self._places.pop(session.id, None)

"""Sessions whose tool list may be their own, since their upstream told them that it changed."""

from collections import OrderedDict

import msgspec
from msgspec import Raw

from meshd.services.definitions import Definitions
from meshd.vault.seal import Session

MAX_SESSIONS = 10_000
"""Those that were told longest ago give way: they list as all others do."""


class SessionsApart:
    """Upstream sessions that were told of a change, until their list is that of all others."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, None] = OrderedDict()

    def told(self, session: Session | None) -> None:
        """The upstream said in this session that its tools changed."""
        if session is None or session.upstream is None:
            return
        self._sessions[session.upstream] = None
        self._sessions.move_to_end(session.upstream)
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)

    def holds(self, session: Session | None) -> bool:
        """Whether this session lists for itself."""
        return session is not None and session.upstream in self._sessions

    def listed(self, session: Session | None, entries: list[Raw], common: Definitions) -> None:
        """What the session listed: the same as everybody's makes it one of them again."""
        if session is not None and msgspec.json.encode(entries) == common.raw:
            self.ended(session)

    def ended(self, session: Session) -> None:
        """The session is no more."""
        self._sessions.pop(session.upstream or "", None)

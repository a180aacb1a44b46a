"""What a handshake session that ends here has set: its log level, and what it subscribed to.

Kept in memory, for as many sessions as used it last; after a restart a client sets it anew.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from meshd.vault.seal import Session

MAX_SESSIONS = 10_000
MAX_RESOURCES = 1000
"""Resources that one session may subscribe to."""


@dataclass(slots=True)
class SessionState:
    """Of one session. `changed` is set when `resources` are others."""

    log_level: str | None = None
    resources: set[str] = field(default_factory=set)
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class SessionStates:
    """Of all sessions."""

    def __init__(self) -> None:
        self._states: OrderedDict[bytes, SessionState] = OrderedDict()

    def of(self, session: Session | None) -> SessionState:
        """The state of a session; for a client without one, a state that is not kept."""
        if session is None:
            return SessionState()
        state = self._states.setdefault(session.id, SessionState())
        self._states.move_to_end(session.id)
        if len(self._states) > MAX_SESSIONS:
            self._states.popitem(last=False)
        return state

    def forget(self, session: Session) -> None:
        """The session ended."""
        self._states.pop(session.id, None)

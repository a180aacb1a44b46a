"""What a handshake session has set: its log level, and what it subscribed to.

Kept in memory, for as many sessions as used it last; after a restart a client sets it anew.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import Raw

from meshd.protocol.envelope import LEVELS
from meshd.protocol.members import text
from meshd.vault.seal import Session

SETTINGS = frozenset({"logging/setLevel", "resources/subscribe", "resources/unsubscribe"})
"""Methods that set something for a session. A shared handshake server would set it for all."""
MAX_SESSIONS = 10_000
MAX_RESOURCES = 1000
"""Resources that one session may subscribe to."""
MAX_URI = 4096
"""Characters of the URI of one."""


@dataclass(slots=True)
class SessionState:
    """Of one session. `changed` is set when `resources` are others."""

    log_level: str | None = None
    resources: set[str] = field(default_factory=set)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def apply(self, method: str, params: Mapping[str, Raw]) -> str | None:
        """Do what a request of `SETTINGS` asks for; what is wrong with it, if anything."""
        if method == "logging/setLevel":
            level = text(params.get("level"))
            if level not in LEVELS:
                return "that is no log level"
            self.log_level = level
            return None
        uri = text(params.get("uri"))
        if uri is None or len(uri) > MAX_URI:
            return f"a resource is named by its uri, of {MAX_URI} characters at most"
        if method == "resources/unsubscribe":
            self.resources.discard(uri)
        elif len(self.resources) >= MAX_RESOURCES:
            return f"more than {MAX_RESOURCES} subscriptions"
        else:
            self.resources.add(uri)
        self.changed.set()
        return None


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

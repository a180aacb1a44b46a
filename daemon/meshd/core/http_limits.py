"""How long and how much an HTTP client may take, and who is let in. No setting: tests lower them.

Nothing here speaks HTTP; `http_connection` and `http_server` enforce it.
"""

import resource
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from meshd.wire.errors import MeshError, Unavailable


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds, sizes in bytes."""

    head: float = 10.0
    """From the accept, or from a head's first byte, to its last."""
    body: float = 30.0
    rate: float = 1024.0
    """Bytes a second that a body has to reach on average, once `grace` is over."""
    grace: float = 5.0
    idle: float = 30.0
    """Between two requests."""
    stall: float = 25.0
    """How long a reader may leave the buffers of what it asked for full: it is cut within half a
    minute, also by a busy daemon."""
    drain: float = 30.0
    """What is under way gets as long when the daemon stops."""
    connections: int = 2000
    strangers: int = 64
    """Connections of one address on which no request was authenticated yet."""
    moment: float = 1.0
    """How long one stranger too many has to become known, while there is room."""
    sweep: float = 1.0
    """Between two looks at all connections."""
    head_bytes: int = 16 * 1024
    head_lines: int = 100


LIMITS = Limits()


def connections(limits: Limits) -> int:
    """How many a server lets in: half of the files that may be open, if that is less."""
    return min(limits.connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


class Guest(Protocol):
    """What the crowd knows of a connection."""

    address: str

    def turn_away(self, error: MeshError) -> None:
        """Answer with the error if that is possible, and close."""


G = TypeVar("G", bound=Guest)


@dataclass(slots=True)
class Crowd(Generic[G]):
    """Counts who is inside, and by address those that nobody knows yet.

    An honest burst looks like a flood until its requests are read, so that one stranger too many
    is not refused at once: it has a moment to become known, and goes first when the house is full.
    """

    limits: Limits
    _inside: set[G] = field(default_factory=set)
    _strangers: dict[str, dict[G, float]] = field(default_factory=dict)
    _crowded: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self._inside)

    def enter(self, guest: G, now: float) -> None:
        """Let a connection in, as a stranger; the oldest surplus one leaves when all is full.

        Who is inside keeps its place, and its moment begins anew.

        Raises:
            Unavailable: everything is full of guests who may stay.
        """
        if guest not in self._inside and len(self._inside) >= self.limits.connections:
            if not self._crowded:
                raise Unavailable(f"{len(self._inside)} connections are open already")
            self._dismiss(next(iter(self._strangers[next(iter(self._crowded))])))
        self._inside.add(guest)
        same = self._strangers.setdefault(guest.address, {})
        same[guest] = now
        if len(same) > self.limits.strangers:
            self._crowded.add(guest.address)

    def trust(self, guest: G) -> None:
        """A request of this connection was authenticated: it is no stranger any more."""
        same = self._strangers.get(guest.address)
        if same is None or same.pop(guest, None) is None:
            return
        if len(same) <= self.limits.strangers:
            self._crowded.discard(guest.address)
        if not same:
            del self._strangers[guest.address]

    def leave(self, guest: G) -> None:
        """The connection is gone. May be said twice."""
        self._inside.discard(guest)
        self.trust(guest)

    def thin(self, now: float) -> None:
        """Turn away surplus strangers who had their moment, oldest first."""
        for address in tuple(self._crowded):
            same = self._strangers[address]
            surplus = len(same) - self.limits.strangers
            late = [g for g, since in same.items() if now - since >= self.limits.moment]
            for guest in late[:surplus]:
                self._dismiss(guest)

    def _dismiss(self, guest: G) -> None:
        self.leave(guest)
        guest.turn_away(
            Unavailable(f"{self.limits.strangers} connections without a valid key are the most")
        )

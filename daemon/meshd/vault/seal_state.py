"""`requestState` of the stateless era, sealed: what a server gave its client to bring back.

It travels through the client, who could change it or lend it to another. Sealed, it opens only for
the same principal, connection and request, and only for a while. Source: MCP 2026-07-28,
basic/patterns, multi round-trip requests, "Security considerations".
"""

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from meshd.vault.key import NONCE_SIZE

LIFETIME = 24 * 3600
"""Seconds for which a state opens; a server may refuse its own sooner."""

_FORMAT = b"\x01"
_BOUND = b"meshctl request state\0" + _FORMAT


@dataclass(frozen=True, slots=True)
class Place:
    """Where a state belongs. `request` names the request that it is for."""

    principal: str
    connection: str
    request: bytes

    def bound(self) -> bytes:
        """As the cipher's associated data."""
        return _BOUND + msgspec.msgpack.encode((self.principal, self.connection, self.request))


class StateSealer:
    """Seals and opens states with one key, which is used for nothing else.

    AES-256-GCM-SIV for the same reason as for sessions: see `meshd.vault.seal`.
    """

    def __init__(self, key: bytes, clock: Callable[[], float]) -> None:
        """`clock` gives Unix seconds."""
        self._cipher = AESGCMSIV(key)
        self._clock = clock

    def seal(self, place: Place, state: bytes) -> str:
        """The token for a state."""
        nonce = os.urandom(NONCE_SIZE)
        inside = int(self._clock() + LIFETIME).to_bytes(8) + state
        sealed = _FORMAT + nonce + self._cipher.encrypt(nonce, inside, place.bound())
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, place: Place, token: str) -> bytes | None:
        """The state of a token; None for what is altered, late, or belongs elsewhere."""
        try:
            sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            if sealed[:1] != _FORMAT:
                return None
            nonce, rest = sealed[1 : 1 + NONCE_SIZE], sealed[1 + NONCE_SIZE :]
            inside = self._cipher.decrypt(nonce, rest, place.bound())
        except (InvalidTag, ValueError):
            return None
        return inside[8:] if int.from_bytes(inside[:8]) > self._clock() else None

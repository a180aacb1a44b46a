"""One 256-bit key: hidden bytes, its public id, and AES-256-GCM under it.

What a key is used for, and what is bound to it, is said in `box`; where it comes from, in `master`.
"""

import hashlib
import hmac
import os
from typing import final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from meshd.core.secret import Hidden
from meshd.vault.errors import Tampered

KEY_SIZE = 32
ID_SIZE = 8
NONCE_SIZE = 12
TAG_SIZE = 16


@final
class Key(Hidden):
    """32 random bytes with their cipher made once."""

    __slots__ = ("_cipher", "_raw")

    def __init__(self, raw: bytes) -> None:
        if len(raw) != KEY_SIZE:
            raise ValueError(f"a key has {KEY_SIZE} bytes, not {len(raw)}")
        self._raw = bytes(raw)
        self._cipher = AESGCM(self._raw)

    @classmethod
    def random(cls) -> "Key":
        """A new key from the system's generator."""
        return cls(os.urandom(KEY_SIZE))

    def reveal(self) -> bytes:
        """The bytes themselves. Each caller of this method is a place where a key can leave."""
        return self._raw

    def identify(self, domain: bytes) -> bytes:
        """The public id of this key within a domain: 8 bytes of a SHA-256 over both."""
        return hashlib.sha256(domain + b"\0" + self._raw).digest()[:ID_SIZE]

    def lock(self, plaintext: bytes, bound: bytes) -> bytes:
        """Nonce, ciphertext and tag; `bound` is authenticated and not contained."""
        nonce = os.urandom(NONCE_SIZE)
        return nonce + self._cipher.encrypt(nonce, plaintext, bound)

    def unlock(self, locked: bytes, bound: bytes) -> bytes:
        """The inverse of `lock`.

        Raises:
            Tampered: the bytes, the key or what is bound differ from those at locking.
        """
        try:
            return self._cipher.decrypt(locked[:NONCE_SIZE], locked[NONCE_SIZE:], bound)
        except (InvalidTag, ValueError):
            raise Tampered from None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Key):
            return NotImplemented
        return hmac.compare_digest(self._raw, other._raw)

    # A hash would be a fast comparison that is not constant in time.
    __hash__ = None  # type: ignore[assignment]

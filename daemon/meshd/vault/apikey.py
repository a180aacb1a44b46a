"""The format of API keys and tokens: making, recognising, comparing, but not keeping.

A key is `msh`, a letter for its kind, `_`, a public id of 8 characters, 32 random characters
(190 bits) and a checksum of 6, all base62: 51 characters, in one shape that scanners can find.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from meshd.core.secret import Secret

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "u": "user key",
        "s": "service key",
        "a": "access token",
        "r": "refresh token",
        "c": "client secret",
        "w": "webhook secret",
    }
)
"""The letter of a kind, and the words for it."""

PATTERN = re.compile(rf"msh([{''.join(KINDS)}])_([0-9A-Za-z]{{8}})[0-9A-Za-z]{{38}}")
"""Finds a key anywhere in a text, to be masked or reported. Groups: kind and public id."""

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_SIZE = 8
_RANDOM_SIZE = 32
_CHECK_SIZE = 6
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Minted:
    """A new key: the secret to show once, and what is stored in its place."""

    secret: Secret
    public_id: str
    digest: bytes = field(repr=False)
    last_four: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a well-formed key says of itself. It proves nothing before its digest is compared."""

    kind: str
    public_id: str


def mint(kind: str = "s") -> Minted:
    """A new random key of one of `KINDS`."""
    if kind not in KINDS:
        raise ValueError(f"no kind of key: {kind!r}")
    public_id = _random(_ID_SIZE)
    body = f"msh{kind}_{public_id}{_random(_RANDOM_SIZE)}"
    text = body + _checksum(body)
    return Minted(Secret(text), public_id, digest(text), text[-_SHOWN:])


def parse(text: str) -> Parsed | None:
    """Kind and public id; None when shape or checksum is wrong, so garbage costs no lookup."""
    found = PATTERN.fullmatch(text)
    if found is None or _checksum(text[:-_CHECK_SIZE]) != text[-_CHECK_SIZE:]:
        return None
    return Parsed(found[1], found[2])


def digest(text: str) -> bytes:
    """SHA-256 of the whole key: enough for 190 random bits, where a password would need more."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def matches(text: str, stored: bytes) -> bool:
    """Whether this is the key with the stored digest; constant in time."""
    return hmac.compare_digest(digest(text), stored)


def _random(size: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(size))


def _checksum(body: str) -> str:
    """CRC-32 in base62, highest digit first: it catches typing errors, not forgers."""
    rest = zlib.crc32(body.encode())
    digits = ""
    for _ in range(_CHECK_SIZE):
        rest, digit = divmod(rest, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits

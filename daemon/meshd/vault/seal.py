"""Session ids of the handshake era that are sealed, not stored: the token holds the session.

An `Mcp-Session-Id` is visible ASCII (MCP 2025-11-25, Streamable HTTP, session management). Ours is
base64url of a format byte, a nonce and a ciphertext. Whether a session was ended is not known here:
that is a denylist of `Session.id`.
"""

import base64
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from meshd.vault.errors import BadFormat, VaultError
from meshd.vault.key import KEY_SIZE, NONCE_SIZE

MAX_TOKEN = 4096
"""Characters of the longest token; half of what HTTP servers commonly take as a header line."""

_FORMAT = b"\x01"
_ENDING_HERE = b"\x02"
"""The format of a token that also says what its client may be asked for."""
_DECLARED = b"\x03"
"""The same of a client whose session is the upstream's."""
_FORMATS = (_FORMAT, _ENDING_HERE, _DECLARED)
_BOUND = b"meshctl session\0"
_VISIBLE = re.compile(r"[\x21-\x7e]+")

_Body = tuple[str, str, str | None, str, int, bytes]
_BodySaying = tuple[str, str, str | None, str, int, bytes, str]


@dataclass(frozen=True, slots=True)
class Session:
    """One session of the handshake era."""

    principal: str
    connection: str
    upstream: str | None = field(repr=False)
    """The upstream's own session id, which opens its session to whoever holds it.

    A virtual MCP has no session upstream: here is the mode that was chosen for this one.
    """
    version: str
    """The protocol version that was agreed on."""
    daemon: str
    expires: int
    """Unix time in seconds; from then on the token does not open."""
    id: bytes = field(default_factory=lambda: os.urandom(16))
    """Names the session in a denylist."""
    client: str = ""
    """What the client may be asked for, as JSON, where its session ends here; else empty."""
    declared: str = ""
    """The same where its session is the upstream's, so that another one may take its place."""


class Sealer:
    """Makes and opens the tokens of one daemon.

    The cipher is AES-256-GCM-SIV (RFC 8452). Tokens have to outlive a restart, so the key stays,
    and every `initialize` of anybody seals once more under it: there is no counter that could
    bound plain GCM, where one repeated nonce lets tokens be forged. With GCM-SIV a repeated nonce
    tells only whether two tokens are equal.
    """

    def __init__(self, key: bytes, daemon: str, clock: Callable[[], float]) -> None:
        if len(key) != KEY_SIZE:
            raise ValueError(f"a session key has {KEY_SIZE} bytes, not {len(key)}")
        try:
            self._cipher = AESGCMSIV(key)
        except UnsupportedAlgorithm:
            raise VaultError(
                "The OpenSSL under `cryptography` has no AES-GCM-SIV (3.2 and later have): "
                "install the wheel of cryptography from PyPI."
            ) from None
        self._daemon = daemon
        self._bound = {form: _BOUND + form + daemon.encode() for form in _FORMATS}
        self._clock = clock
        self._decode = msgspec.msgpack.Decoder(_Body).decode
        self._decode_saying = msgspec.msgpack.Decoder(_BodySaying).decode

    def seal(self, session: Session) -> str:
        """The token of a session.

        Raises:
            ValueError: the session is of another daemon, which is a mistake of the program.
            BadFormat: the upstream's id is not visible ASCII, or too long for a token.
        """
        if session.daemon != self._daemon:
            raise ValueError(f"a session of {session.daemon} cannot be sealed by {self._daemon}")
        if session.upstream is not None and not _VISIBLE.fullmatch(session.upstream):
            raise BadFormat("The session id that the upstream gave is not visible ASCII.")
        body: _Body = (
            session.principal,
            session.connection,
            session.upstream,
            session.version,
            session.expires,
            session.id,
        )
        said = session.client or session.declared
        form = _ENDING_HERE if session.client else _DECLARED if said else _FORMAT
        inside = msgspec.msgpack.encode((*body, said) if said else body)
        nonce = os.urandom(NONCE_SIZE)
        token = _text(form + nonce + self._cipher.encrypt(nonce, inside, self._bound[form]))
        if len(token) > MAX_TOKEN:
            raise BadFormat("The session id that the upstream gave is too long.")
        return token

    def open(self, token: str) -> Session | None:
        """The session of a token; None for whatever is foreign, expired, altered or malformed."""
        raw = _raw(token)
        if raw is None or raw[:1] not in self._bound:
            return None
        nonce, sealed = raw[1 : 1 + NONCE_SIZE], raw[1 + NONCE_SIZE :]
        try:
            inside = self._cipher.decrypt(nonce, sealed, self._bound[raw[:1]])
            if raw[:1] == _FORMAT:
                body, said = [*self._decode(inside)], ""
            else:
                *body, said = self._decode_saying(inside)
        except (InvalidTag, ValueError):
            return None
        principal, connection, upstream, version, expires, name = body
        if expires <= self._clock():
            return None
        client, declared = (said, "") if raw[:1] == _ENDING_HERE else ("", said)
        return Session(
            principal, connection, upstream, version, self._daemon, expires, name, client, declared
        )


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _raw(token: str) -> bytes | None:
    """The bytes of a token in its one spelling: the decoder alone skips what it does not know."""
    if len(token) > MAX_TOKEN:
        return None
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        return None
    return raw if _text(raw) == token else None

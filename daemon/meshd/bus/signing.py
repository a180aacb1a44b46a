"""Signatures of outgoing webhooks, as Standard Webhooks 1.0.0 has them. Pure."""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from secrets import token_bytes

from meshd.core.secret import Secret

PREFIX = "whsec_"
SIZE = 24
"""Bytes of a secret; the specification asks for 24 to 64."""


def new_secret() -> Secret:
    """A secret that a receiver verifies with."""
    return Secret(PREFIX + b64encode(token_bytes(SIZE)).decode())


def headers(secret: Secret, message: str, seconds: int, body: bytes) -> Mapping[str, str]:
    """The three headers. `message` is the same at every attempt; `seconds` is the time of this."""
    key = b64decode(secret.reveal().removeprefix(PREFIX))
    digest = hmac.digest(key, b"%b.%d.%b" % (message.encode(), seconds, body), "sha256")
    return {
        "webhook-id": message,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{b64encode(digest).decode()}",
    }

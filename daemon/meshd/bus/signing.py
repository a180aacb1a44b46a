"""Signatures of outgoing webhooks, as Standard Webhooks 1.0.0 has them. Pure."""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from secrets import token_bytes

from meshd.core.secret import Secret

PREFIX = "whsec_"
SIZE = 24
"""Bytes of a secret; the specification asks for 24 to 64."""


def new_secret() -> Secret:
    """A secret that a receiver verifies with."""
    return Secret(PREFIX + b64encode(token_bytes(SIZE)).decode())


def headers(
    secrets: Sequence[Secret], message: str, seconds: int, body: bytes
) -> Mapping[str, str]:
    """The three headers, with a signature by each secret: a receiver needs only one that fits.

    `message` is the same at every attempt; `seconds` is the time of this.
    """
    said = b"%b.%d.%b" % (message.encode(), seconds, body)
    keys = (b64decode(secret.reveal().removeprefix(PREFIX)) for secret in secrets)
    digests = (hmac.digest(key, said, "sha256") for key in keys)
    return {
        "webhook-id": message,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{b64encode(one).decode()}" for one in digests),
    }

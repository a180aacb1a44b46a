"""Signatures of webhooks that come in, as GitHub, Stripe, Slack and Standard Webhooks make them.

Pure. Each is over the very bytes that came; nothing of them is read before it is found right.
"""

import binascii
import hashlib
import hmac
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from meshd.core.secret import Secret

Signature = Literal["github", "stripe", "slack", "standard"]
TOLERANCE = 300
"""Seconds that the time in a signature may differ from ours; GitHub's has none."""
MAX_SIGNATURES = 20
"""Signatures of one request that are looked at: a sender that changes its secret sends several."""
MAX_NAME = 200
PREFIX = "whsec_"


class BadSignature(ValueError):
    """It is missing, wrong, or of another time; the text says which, and nothing of a secret."""


class BadSecret(ValueError):
    """No sender of this kind has such a secret."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a sender calls a delivery, the same each time that it sends it, and its event."""

    id: str
    event: str | None


def check_secret(kind: Signature, secret: Secret) -> None:
    """Pass a secret that can sign. Raises BadSecret."""
    text = secret.reveal()
    if not 8 <= len(text) <= 500 or not text.isascii() or not text.isprintable():
        raise BadSecret("8 to 500 printable characters")
    if kind == "standard":
        _key(secret)


def verify(
    kind: Signature, secrets: Sequence[Secret], headers: Mapping[str, str], body: bytes, now: int
) -> None:
    """Pass a body that one of the secrets signed; `now` is in seconds since the epoch.

    Raises:
        BadSignature: none of them did, or too long ago.
    """
    given, signed = _READERS[kind](headers, body, now)
    found = False
    for secret in secrets:
        key = _key(secret) if kind == "standard" else secret.reveal().encode()
        right = hmac.digest(key, signed, hashlib.sha256)
        for one in given[:MAX_SIGNATURES]:  # each in the same time, whichever is right
            found |= hmac.compare_digest(one, right)
    if not found:
        raise BadSignature("the signature is not right")


def identify(kind: Signature, headers: Mapping[str, str], body: bytes, payload: Any) -> Sent:
    """What its sender calls a body that was verified, of which `payload` is the JSON."""
    fields = payload if isinstance(payload, dict) else {}
    if kind == "github":
        known = headers.get("X-GitHub-Delivery"), headers.get("X-GitHub-Event")
    elif kind == "stripe":
        known = fields.get("id"), fields.get("type")
    elif kind == "slack":
        event = fields.get("event")
        inner = event.get("type") if isinstance(event, dict) else None
        known = fields.get("event_id"), inner or fields.get("type")
    else:
        known = headers.get("webhook-id"), fields.get("type")
    return Sent(_name(known[0]) or _digest(kind, headers, body), _name(known[1]))


def _digest(kind: Signature, headers: Mapping[str, str], body: bytes) -> str:
    """What stands for an id: what was signed, with its time where that came beside the body."""
    stamp = headers.get("X-Slack-Request-Timestamp", "") if kind == "slack" else ""
    return hashlib.sha256(stamp.encode() + b"." + body).hexdigest()


def _name(value: Any) -> str | None:
    valid = isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()
    return value if valid else None


def _github(headers: Mapping[str, str], body: bytes, now: int) -> tuple[list[bytes], bytes]:
    """`sha256=HEX` over the body."""
    del now
    return list(_hex([headers.get("X-Hub-Signature-256", "")], "sha256=")), body


def _stripe(headers: Mapping[str, str], body: bytes, now: int) -> tuple[list[bytes], bytes]:
    """`t=SECONDS,v1=HEX,v1=HEX` over `SECONDS.BODY`."""
    parts = headers.get("Stripe-Signature", "").split(",")
    stamp = next((part[2:] for part in parts if part.startswith("t=")), "")
    _check_time(stamp, now)
    return list(_hex(parts, "v1=")), b"%b.%b" % (stamp.encode(), body)


def _slack(headers: Mapping[str, str], body: bytes, now: int) -> tuple[list[bytes], bytes]:
    """`v0=HEX` over `v0:SECONDS:BODY`."""
    stamp = headers.get("X-Slack-Request-Timestamp", "")
    _check_time(stamp, now)
    given = list(_hex([headers.get("X-Slack-Signature", "")], "v0="))
    return given, b"v0:%b:%b" % (stamp.encode(), body)


def _standard(headers: Mapping[str, str], body: bytes, now: int) -> tuple[list[bytes], bytes]:
    """`v1,BASE64 v1,BASE64` over `ID.SECONDS.BODY` (Standard Webhooks 1.0.0)."""
    name, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    _check_time(stamp, now)
    if not _name(name):
        raise BadSignature("the webhook-id is missing")
    given = [
        decoded
        for part in headers.get("webhook-signature", "").split(" ")
        if part.startswith("v1,") and (decoded := _decoded(part[3:])) is not None
    ]
    return given, b"%b.%b.%b" % (name.encode(), stamp.encode(), body)


_READERS = {"github": _github, "stripe": _stripe, "slack": _slack, "standard": _standard}


def _hex(parts: Sequence[str], prefix: str) -> Iterator[bytes]:
    for part in parts:
        if part.startswith(prefix):
            try:
                yield bytes.fromhex(part.removeprefix(prefix))
            except ValueError:
                continue


def _check_time(stamp: str, now: int) -> None:
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise BadSignature("the time of the signature is missing")
    if abs(int(stamp) - now) > TOLERANCE:
        raise BadSignature(f"the signature is more than {TOLERANCE // 60} minutes off our clock")


def _key(secret: Secret) -> bytes:
    key = _decoded(secret.reveal().removeprefix(PREFIX))
    if key is None or len(key) < 16:
        raise BadSecret(f"{PREFIX} and base64 of at least 16 bytes")
    return key


def _decoded(text: str) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None

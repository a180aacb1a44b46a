"""The one redaction point: what may not reach a log, a record or a screen is replaced here."""

import re
from typing import Any

import msgspec

MASK = "***"
_NAME = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|authorization|api[_-]?key|apikey|credential"
    r"|private[_-]?key|cookie|session[_-]?id|bearer|^auth$|access[_-]?key",
    re.IGNORECASE,
)
_SHAPES = re.compile(
    r"""\bmsh[usarcw]_[0-9A-Za-z]{20,}            # ours
      | \bgh[pousr]_[0-9A-Za-z]{20,} | \bgithub_pat_\w{20,}
      | \bsk-[\w-]{16,} | \b[rs]k_(?:live|test)_\w{10,} | \bwhsec_[\w+/=]{10,}
      | \bxox[abprs]-[\w-]{10,} | \bAKIA[0-9A-Z]{16}\b | \bAIza[\w-]{30,}
      | \beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*         # a JWT
      | (?<=\bBearer\s)[\w.~+/=-]{8,} | (?<=\bBasic\s)[\w+/=]{8,}
      | (?<=://)[^/@\s:]+:[^/@\s]+(?=@)           # userinfo of a URL
    """,
    re.VERBOSE,
)
_PEM = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL
)


def redact_text(text: str) -> str:
    """`text` with everything that has the shape of a credential masked."""
    return _PEM.sub(MASK, _SHAPES.sub(MASK, text))


def redact_json(raw: bytes) -> bytes:
    """JSON with values of secret-looking names, and secret-looking values, masked.

    What is not JSON, or nests too deep to read, becomes null: nothing unread is kept.
    """
    try:
        return msgspec.json.encode(_masked(msgspec.json.decode(raw)))
    except (msgspec.DecodeError, RecursionError):
        return b"null"


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict):
        return {
            key: MASK
            if isinstance(item, str | list | dict) and _NAME.search(key)
            else _masked(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return value

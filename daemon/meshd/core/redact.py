"""The one redaction point: what may not reach a log, a record or a screen is replaced here.

Everything here is linear in the length of its input, which is foreign and may be large.
"""

import re
from typing import Any

import msgspec

MASK = "***"
SHORT = 20
"""A name of fewer characters is no credential itself."""
_NAME = re.compile(
    r"pass(word|wd|phrase|code)|pass$|pwd|secret|token|authorization|api[_-]?key|credential"
    r"|private[_-]?key|cookie|session[_-]?id|bearer|^auth$|access[_-]?key|signature|^otp$|^pin$",
    re.IGNORECASE,
)
_COUNTED = re.compile(r"token", re.IGNORECASE)
"""Numbers of such names count something: `max_tokens`, `progressToken`."""

_SHAPES: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (needle, re.compile(pattern, re.DOTALL), mask)
    for needle, pattern, mask in (
        ("msh", r"msh[usarcw]_[0-9A-Za-z]{20,}", MASK),  # ours
        ("gh", r"gh[pousr]_[0-9A-Za-z]{20,}", MASK),
        ("github_pat_", r"github_pat_\w{20,}", MASK),
        ("sk-", r"sk-(?<![0-9A-Za-z]sk-)[\w-]{16,}", MASK),
        ("k_live_", r"[rs]k_live_\w{10,}", MASK),
        ("k_test_", r"[rs]k_test_\w{10,}", MASK),
        ("whsec_", r"whsec_[\w+/=]{10,}", MASK),
        ("xox", r"xox[abprs]-[\w-]{10,}", MASK),
        ("akia", r"AKIA[0-9A-Z]{16}\b", MASK),
        ("aiza", r"AIza[\w-]{30,}", MASK),
        ("eyj", r"eyJ(?<![\w-]eyJ)[\w-]{8,}\.[\w-]{8,}\.[\w-]*", MASK),  # a JWT
        ("bearer", r"([Bb](?i:earer)\s{1,3})[\w.~+/=-]{8,}", rf"\1{MASK}"),
        ("basic", r"(Basic\s{1,3})[\w+/=]{8,}", rf"\1{MASK}"),
        ("://", r"(://)[^/@\s:]+:[^/@\s]+(?=@)", rf"\1{MASK}"),  # userinfo of a URL
        ("private key", r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [^-]*-+|$)", MASK),
    )
)
"""What cannot be missing from a shape, in lower case; the shape; what stands in its place.

A search for the needle is a hundred times as fast as one for the shape, and mostly in vain.
"""

_KEYWORDS = ("pass", "secret", "token", "key")
_ASSIGNED = re.compile(
    r"""([PpSsTtAa](?i:ass(?:word|wd|phrase|code)|ecret|oken
          |pi[_-]?key|rivate[_-]?key|ccess[_-]?key)
         [\w-]{0,40}["']?\s{0,3}[=:]\s{0,3}["']?)
        (?!\*\*\*)[^\s"'&,;<>{}\[\]]{4,}""",
    re.VERBOSE,
)
"""`password=…`, `token: …` and `"api_key": "…"` in text that is no JSON."""
_UNREADABLE = (msgspec.DecodeError, RecursionError, ValueError)


def redact_text(text: str) -> str:
    """`text` with everything that has the shape of a credential masked, as valid Unicode."""
    lowered = text.lower()
    for needle, shape, mask in _SHAPES:
        if needle in lowered:
            text = shape.sub(mask, text)
    if any(word in lowered for word in _KEYWORDS):
        text = _ASSIGNED.sub(rf"\1{MASK}", text)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def redact_json(raw: bytes) -> bytes:
    """JSON with values of secret-looking names, and secret-looking values, masked.

    What is not JSON, or nests too deep to read, becomes null: nothing unread is kept.
    """
    try:
        return msgspec.json.encode(_masked(msgspec.json.decode(raw)))
    except _UNREADABLE:
        return b"null"


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return _masked_text(value)
    if isinstance(value, dict):
        return {
            key if len(key) < SHORT else redact_text(key): MASK
            if _hides(key, item)
            else _masked(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return value


def _hides(name: str, value: Any) -> bool:
    """Whether a member is secret by its name. Flags are not, nor numbers that count."""
    if value is None or isinstance(value, bool) or not _NAME.search(name):
        return False
    return not (isinstance(value, int | float) and _COUNTED.search(name))


def _masked_text(text: str) -> str:
    """A text; one that is JSON itself (tools often answer so) is redacted as JSON."""
    if text.lstrip()[:1] in {"{", "["}:
        try:
            inner = msgspec.json.decode(text)
        except _UNREADABLE:
            return redact_text(text)
        return msgspec.json.encode(_masked(inner)).decode()
    return redact_text(text)

"""JSON objects one level deep: members by name, their values raw. The order of members is kept."""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding of foreign JSON may raise."""

_decode = msgspec.json.Decoder(dict[str, Raw]).decode


def members(raw: bytes | Raw) -> dict[str, Raw]:
    """The members of an object; none where it is empty, and none where it is no object."""
    try:
        return _decode(raw) if bytes(raw) else {}
    except UNREADABLE:
        return {}


def text(raw: bytes | Raw | None) -> str | None:
    """The string that it is; None for anything else."""
    try:
        value = msgspec.json.decode(raw or b"null")
    except UNREADABLE:
        return None
    return value if isinstance(value, str) else None


def joined(found: Mapping[str, object]) -> bytes:
    """The object of these members; raw values keep their bytes."""
    return msgspec.json.encode(found)


def raw(value: object) -> Raw:
    """A value as raw JSON."""
    return Raw(msgspec.json.encode(value))

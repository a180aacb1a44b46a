"""Objects that every parser must read alike: no repeated member, none that differs only in case.

A gateway that decides on one `name` while the upstream's parser takes another has decided nothing:
parsers differ in which of two equal members they keep, and some (Go's encoding/json) match names
without regard to case.
"""

import re
from collections.abc import Collection

import msgspec
from msgspec import Raw

from meshd.protocol.jsonrpc import INVALID_REQUEST, BadMessage

MAX_MEMBERS = 256
"""Far more than any envelope or params has; each costs a microsecond."""

_MEMBER = re.compile(rb'[\s,{]*("(?:[^"\\]++|\\.)*+")\s*:\s*', re.DOTALL)
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


def check_members(raw: bytes, deciding: Collection[str]) -> dict[str, Raw]:
    """The members of an object, which are unique and clear; `deciding` are those that decide.

    The decoder keeps the last of equal members at the place of the first. Walking the bytes along
    what it kept therefore gets stuck at the first repetition.

    Raises:
        BadMessage: a member is repeated, or looks like a deciding one but for its case; or there
            are more than `MAX_MEMBERS`.
    """
    try:
        members = _decode_object(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadMessage(INVALID_REQUEST, "an object was expected") from None
    if len(members) > MAX_MEMBERS:
        raise BadMessage(INVALID_REQUEST, f"an object has more than {MAX_MEMBERS} members")
    at = 0
    for name, value in members.items():
        found = _MEMBER.match(raw, at)
        if found is None or _decode_text(found[1]) != name:
            raise BadMessage(INVALID_REQUEST, "a member is repeated")
        data = bytes(value)
        if not raw.startswith(data, found.end()):
            raise BadMessage(INVALID_REQUEST, "a member is repeated")
        at = found.end() + len(data)
        if name not in deciding and name.casefold() in deciding:
            raise BadMessage(INVALID_REQUEST, f'"{ascii(name)[1:-1]}" is spelt ambiguously')
    if raw[at:].translate(None, b" \t\r\n") != (b"}" if members else b"{}"):
        raise BadMessage(INVALID_REQUEST, "a member is repeated")
    return members

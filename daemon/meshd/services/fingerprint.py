"""The fingerprint of a tool's definition: what an approval is given for.

Everything that the server says of a tool is part of it, to the last member: name, title,
description, both schemas, annotations, icons, `_meta` and members that nobody knows yet, since a
client may show any of them to its model or its user. How it is written is not: the order of
members, white space and escapes do not matter, the text of a number does.
"""

import hashlib
import json
from typing import Any


def fingerprint(definition: bytes) -> str:
    """SHA-256 in hexadecimal. What cannot be read as JSON stands for its bytes alone."""
    try:
        read = json.loads(
            definition.decode(), object_pairs_hook=_members, parse_int=_number, parse_float=_number
        )
        said = json.dumps(read, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        said = b"not JSON:" + definition
    return hashlib.sha256(said).hexdigest()


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object as its sorted members. One that is there twice stays so: readers differ on it."""
    return {"members": sorted(pairs, key=lambda pair: pair[0])}


def _number(text: str) -> dict[str, str]:
    return {"number": text}

"""Identifiers: a prefix that names the kind, then 16 random characters (80 bits)."""

import re
from base64 import b32encode
from secrets import token_bytes

PREFIXES = frozenset({"org", "usr", "key", "conn", "evt", "call", "mesh"})
_TAIL = re.compile(r"[a-z2-7]{16}")


def new_id(prefix: str) -> str:
    """A fresh id such as `conn_8fk2…`. Costs a microsecond: every call record has one."""
    return f"{prefix}_{b32encode(token_bytes(10)).decode().lower()}"


def is_id(text: str, prefix: str) -> bool:
    """Whether `text` has the shape of an id of that kind. Names never contain `_`."""
    head, _, tail = text.partition("_")
    return head == prefix and _TAIL.fullmatch(tail) is not None

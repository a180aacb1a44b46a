"""Identifiers: a prefix that names the kind, then 16 random characters (80 bits)."""

from base64 import b32encode
from secrets import token_bytes


def new_id(prefix: str) -> str:
    """A fresh id such as `conn_8fk2…`. Names never contain `_`, so an id is never a name."""
    return f"{prefix}_{b32encode(token_bytes(10)).decode().lower()}"

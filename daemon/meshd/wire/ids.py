"""Identifiers: a prefix that names the kind, then 16 random characters (80 bits)."""

from secrets import randbits

_DIGITS = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = tuple(one + other for one in _DIGITS for other in _DIGITS)


def new_id(prefix: str) -> str:
    """A fresh id such as `conn_8fk2…`. Names never contain `_`, so an id is never a name."""
    bits = randbits(80)
    return f"{prefix}_{''.join([_PAIRS[bits >> at & 1023] for at in range(0, 80, 10)])}"

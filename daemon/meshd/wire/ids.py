"""Identifiers: a prefix that names the kind, then random characters; time first where many come."""

from random import getrandbits
from secrets import randbits

_DIGITS = "234567abcdefghijklmnopqrstuvwxyz"
"""In their order as text, so that what sorts by number sorts by text as well."""
_PAIRS = tuple(one + other for one in _DIGITS for other in _DIGITS)
_CHANCE = 58
"""Random bits beside a moment: two of a thousand at once are the same in one of 10¹¹ times."""


def new_id(prefix: str) -> str:
    """A fresh id such as `conn_8fk2…`. Names never contain `_`, so an id is never a name."""
    return f"{prefix}_{_text(randbits(80), 80)}"


def new_timed_id(prefix: str, moment: int) -> str:
    """A fresh id for a row among very many; those of later moments, in microseconds, sort later.

    Rows that come together so stand together in an index: random ids would have each of them write
    a page of its own. Such an id is no secret, and can be guessed.
    """
    return f"{prefix}_{_text(moment >> 10 << _CHANCE | getrandbits(_CHANCE), 100)}"


def _text(bits: int, count: int) -> str:
    return "".join([_PAIRS[bits >> at & 1023] for at in range(count - 10, -1, -10)])

"""Which deliveries of a subscription go one after the other: those with the same key. Pure."""

import hashlib
from collections.abc import Mapping

import msgspec

from meshd.bus.match import Attributes

DATA = "data."
MAX_KEY = 255
MAX_PATH = 200


class BadOrder(ValueError):
    """Nothing that orders; the text says why."""


def check_order(text: str) -> str:
    """What orders: an attribute of events, or `data.` and a path into their data.

    Raises:
        BadOrder: it is neither.
    """
    names = text.removeprefix(DATA).split(".") if text.startswith(DATA) else [text]
    if len(text) > MAX_PATH or not all(name and name.isprintable() for name in names):
        raise BadOrder("order by an attribute such as subject or source, or by data.PATH")
    return text


def order_key(by: str, event: Attributes, data: str | None) -> str | None:
    """The key of an event, at most `MAX_KEY` characters; None where it has none.

    `data` is JSON. What has no key is in no order.
    """
    key = _at(by.removeprefix(DATA).split("."), data) if by.startswith(DATA) else event.get(by)
    if key is None or len(key) <= MAX_KEY:
        return key
    return hashlib.sha256(key.encode()).hexdigest()


def _at(path: list[str], data: str | None) -> str | None:
    """The value at a path, as JSON."""
    value = msgspec.json.decode(data or "null")
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return None if value is None else msgspec.json.encode(value).decode()

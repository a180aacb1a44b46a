"""Whether an event is one that a subscriber wants: type patterns and CloudEvents filters. Pure.

The dialects are `exact`, `prefix`, `suffix`, `all`, `any` and `not` of the CloudEvents
Subscriptions API 1.0, section 3.2.4. An attribute that an event has not matches nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from meshd.core.glob import glob_match

Attributes = Mapping[str, str]
Matches = Callable[[Attributes], bool]

MAX_NODES = 100
MAX_DEPTH = 8
MAX_TEXT = 255

_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "exact": str.__eq__,
    "prefix": str.startswith,
    "suffix": str.endswith,
}


class BadFilter(ValueError):
    """A filter that is none; the text says why."""


def matches_type(patterns: Sequence[str], kind: str) -> bool:
    """Whether one of the patterns covers a type; `*` is any run of characters."""
    return any(glob_match(pattern, kind) for pattern in patterns)


def read_filters(filters: Any) -> Matches:
    """A predicate that is true where all of the filters are.

    Raises:
        BadFilter: it is no list of filters, or too much of one.
    """
    if not isinstance(filters, list):
        raise BadFilter("filters are a list")
    left = [MAX_NODES]
    parts = [_read(one, MAX_DEPTH, left) for one in filters]
    return _all(parts)


def _all(parts: Sequence[Matches]) -> Matches:
    if len(parts) == 1:
        return parts[0]
    return lambda event: all(part(event) for part in parts)


def _read(node: Any, depth: int, left: list[int]) -> Matches:
    left[0] -= 1
    if depth == 0 or left[0] < 0:
        raise BadFilter(f"a filter has at most {MAX_NODES} parts, {MAX_DEPTH} deep")
    if not isinstance(node, dict) or len(node) != 1:
        raise BadFilter("a filter is an object with one member")
    ((dialect, inside),) = node.items()
    if dialect in _TESTS:
        return _attributes(dialect, inside)
    if dialect == "not":
        inner = _read(inside, depth - 1, left)
        return lambda event: not inner(event)
    if dialect in {"all", "any"}:
        if not isinstance(inside, list) or not inside:
            raise BadFilter(f"{dialect} takes a list of filters")
        parts = [_read(one, depth - 1, left) for one in inside]
        if dialect == "all":
            return _all(parts)
        return lambda event: any(part(event) for part in parts)
    raise BadFilter("dialects are exact, prefix, suffix, all, any and not")


def _attributes(dialect: str, inside: Any) -> Matches:
    if not isinstance(inside, dict) or not inside:
        raise BadFilter(f"{dialect} takes attributes and their values")
    for name, wanted in inside.items():
        if not (isinstance(wanted, str) and 0 < len(wanted) <= MAX_TEXT and len(name) <= MAX_TEXT):
            raise BadFilter(f"a value is a text of 1 to {MAX_TEXT} characters")
    return _all([_attribute(_TESTS[dialect], *one) for one in inside.items()])


def _attribute(test: Callable[[str, str], bool], name: str, wanted: str) -> Matches:
    return lambda event: name in event and test(event[name], wanted)

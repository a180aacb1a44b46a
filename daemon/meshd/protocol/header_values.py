"""Values of parameters as HTTP header values, and back; and which parameters a tool wants there.

A tool's input schema may mark a parameter with `x-mcp-header: Name`; its value then also goes into
`Mcp-Param-Name`. Source: MCP 2026-07-28, basic/transports, Streamable HTTP, "Custom headers".
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from meshd.protocol.members import UNREADABLE, joined, members
from meshd.protocol.strict import check_members

PREFIX = "Mcp-Param-"
_MARK = "x-mcp-header"
_PRIMITIVE = frozenset({"string", "integer", "boolean"})
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}")  # RFC 9110 section 5.6.2
_PLAIN = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?|")
_CODED = re.compile(r"=\?base64\?(.*)\?=")
_DECIMAL = re.compile(r"(-?[0-9]+)(?:\.0+)?")
MAX_DIGITS = 1000


class Marked(NamedTuple):
    """A parameter that goes into a header too: where it is, its header's name, its type."""

    path: tuple[str, ...]
    header: str
    type: str


def encoded(value: str) -> str:
    """`value` as it can stand in a header: itself, or in base64."""
    if _PLAIN.fullmatch(value) and not _CODED.fullmatch(value):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def decoded(value: str) -> str | None:
    """What a header's value stands for; None for base64 that is none, or not in its one form."""
    found = _CODED.fullmatch(value)
    if found is None:
        return value
    try:
        plain = base64.b64decode(found[1], validate=True)
        return plain.decode() if base64.b64encode(plain).decode() == found[1] else None
    except (binascii.Error, UnicodeError):
        return None


def marked(schema: bytes) -> Sequence[Marked]:
    """The parameters that a tool's input schema marks; none where a mark is not valid.

    Clients leave out a tool with marks that are not valid, so nobody sends headers for it.
    """
    return _valid_marks(schema) or ()


def without_mismarked(listed: bytes) -> bytes:
    """A `tools/list` result without the tools whose marks are not valid."""
    if _MARK.encode() not in listed:
        return listed
    found = members(listed)
    try:
        tools = msgspec.json.decode(found.get("tools", b"[]"), type=list[Raw])
    except UNREADABLE:
        return listed
    kept = [t for t in tools if _valid_marks(bytes(members(t).get("inputSchema", b""))) is not None]
    return joined({**found, "tools": kept})


def _valid_marks(schema: bytes) -> tuple[Marked, ...] | None:
    """Every mark, or None where one of them is not valid."""
    if _MARK.encode() not in schema:
        return ()
    try:
        found = tuple(_marks(msgspec.json.decode(schema), ()))
    except (*UNREADABLE, ValueError):
        return None
    names = {mark.header.lower() for mark in found}
    return found if len(names) == len(found) else None


def _marks(schema: Any, path: tuple[str, ...]) -> Iterator[Marked]:
    """Along `properties` alone, as the specification says: no other place can be reached surely."""
    if not isinstance(schema, dict):
        return
    if _MARK in schema:
        header, kind = schema[_MARK], schema.get("type")
        if (
            not path
            or not (isinstance(header, str) and _TOKEN.fullmatch(header))
            or not (isinstance(kind, str) and kind in _PRIMITIVE)
        ):
            raise ValueError("a mark that is not valid")
        yield Marked(path, header, kind)
    properties = schema.get("properties")
    if isinstance(properties, dict):
        for name, inner in properties.items():
            yield from _marks(inner, (*path, name))


def repeated(marks: Sequence[Marked], arguments: Raw | bytes) -> dict[str, str]:
    """The headers that repeat a call's arguments.

    Raises:
        BadMessage: an object on the way to one of them repeats a member.
    """
    lines = {}
    for mark in marks:
        value = _shown(_at(arguments, mark.path))
        if value is not None:
            lines[PREFIX + mark.header] = encoded(value)
    return lines


def disagreement(
    marks: Sequence[Marked], arguments: Raw | bytes, headers: Callable[[str], Sequence[str]]
) -> str | None:
    """The first header that does not say what the arguments say; both may be absent.

    Raises:
        BadMessage: as `repeated`.
    """
    for mark in marks:
        value = _at(arguments, mark.path)
        shown, found = _shown(value), headers(PREFIX + mark.header)
        if shown is None and not found:
            continue
        if shown is None or len(found) != 1 or not _same(mark, value, shown, decoded(found[0])):
            return PREFIX + mark.header
    return None


def _same(mark: Marked, value: Any, shown: str, said: str | None) -> bool:
    if said == shown:
        return True
    if mark.type != "integer" or said is None or isinstance(value, bool | str):
        return False
    number = _DECIMAL.fullmatch(said[:MAX_DIGITS])
    return number is not None and int(number[1]) == value  # 42 is 42.0


def _at(arguments: Raw | bytes, path: Sequence[str]) -> Any:
    """The value at a path; None where there is none."""
    found: Mapping[str, Raw] = {}
    here: Raw | bytes = arguments
    for name in path:
        if not bytes(here).lstrip().startswith(b"{"):
            return None
        check_members(bytes(here), ())
        found = members(here)
        if name not in found:
            return None
        here = found[name]
    try:
        return msgspec.json.decode(here)
    except UNREADABLE:
        return None


def _shown(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        text = str(value)
        return text if len(text) <= MAX_DIGITS else None
    return None

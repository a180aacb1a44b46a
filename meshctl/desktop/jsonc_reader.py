"""Reading JSON with comments, with the place of every member; changing it is `jsonc`.

Accepted beyond RFC 8259: `//` and `/* */` comments, trailing commas, a BOM, raw tabs in strings.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

DEPTH = 64
"""How deep objects and lists may nest where spans are read."""

PIECE = re.compile(r"[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/", re.DOTALL)
"""What may stand between two tokens: a run of whitespace or one comment."""

BREAK = re.compile(r"\r\n|\n|\r")
"""A line break in any of the three notations."""

_STRING = re.compile(r'"[^"\\\r\n]*(?:\\.[^"\\\r\n]*)*"')
_SCALAR = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")


class JsoncError(ValueError):
    """The text is not JSON, even with comments; `line` and `column` count from 1."""

    def __init__(self, what: str, text: str, at: int) -> None:
        before = BREAK.split(text[:at])
        self.what, self.line, self.column = what, len(before), len(before[-1]) + 1
        super().__init__(f"line {self.line}, column {self.column}: {what}")


@dataclass(slots=True)
class Member:
    """One `"key": value` of an object; `comma` is the place of the comma after it, if any."""

    key: str
    start: int
    key_end: int
    value: Node
    comma: int | None = None


@dataclass(slots=True)
class Node:
    """A value and the span of its text; `members` is None unless it is an object."""

    start: int
    end: int
    value: Any
    members: list[Member] | None = None


def parse(text: str) -> Any:
    """Return the value of a JSONC document; raises `JsoncError`. Of equal keys the last counts."""
    try:
        # The fast way for the common case: some clients keep megabytes in these files.
        return json.loads(text.removeprefix("\ufeff"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return read(text).value


def read(text: str) -> Node:
    """Return the document's node, with the spans that an edit needs; raises `JsoncError`."""
    return _Reader(text).document()


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


class _Reader:
    """A recursive-descent reader over one text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def document(self) -> Node:
        node = self._value(self._skip(1 if self.text.startswith("\ufeff") else 0), 0)
        rest = self._skip(node.end)
        if rest != len(self.text):
            self._fail(f"{self._seen(rest)} after the end of the document", rest)
        return node

    def _value(self, at: int, depth: int) -> Node:
        if depth > DEPTH:
            self._fail(f"nested deeper than {DEPTH}", at)
        opening = self.text[at : at + 1]
        if opening == "{":
            return self._object(at, depth)
        if opening == "[":
            return self._array(at, depth)
        if opening == '"':
            value, end = self._string(at)
            return Node(at, end, value)
        scalar = _SCALAR.match(self.text, at)
        if scalar is None:
            self._fail(f"a value is missing before {self._seen(at)}", at)
        try:
            return Node(at, scalar.end(), json.loads(scalar[0]))
        except ValueError:  # an integer longer than the interpreter converts
            self._fail("a number that is too long", at)

    def _object(self, start: int, depth: int) -> Node:
        members: list[Member] = []
        at = self._skip(start + 1)
        while self.text[at : at + 1] != "}":
            if members and members[-1].comma is None:
                self._fail(f'"," or "}}" is missing before {self._seen(at)}', at)
            if self.text[at : at + 1] != '"':
                self._fail(f"a quoted key is missing before {self._seen(at)}", at)
            key, key_end = self._string(at)
            colon = self._skip(key_end)
            if self.text[colon : colon + 1] != ":":
                self._fail(f'":" is missing before {self._seen(colon)}', colon)
            member = Member(key, at, key_end, self._value(self._skip(colon + 1), depth + 1))
            members.append(member)
            at = self._skip(member.value.end)
            if self.text[at : at + 1] == ",":
                member.comma = at
                at = self._skip(at + 1)
        return Node(start, at + 1, {one.key: one.value.value for one in members}, members)

    def _array(self, start: int, depth: int) -> Node:
        items: list[Any] = []
        at, separated = self._skip(start + 1), True
        while self.text[at : at + 1] != "]":
            if not separated:
                self._fail(f'"," or "]" is missing before {self._seen(at)}', at)
            item = self._value(at, depth + 1)
            items.append(item.value)
            at = self._skip(item.end)
            separated = self.text[at : at + 1] == ","
            if separated:
                at = self._skip(at + 1)
        return Node(start, at + 1, items)

    def _string(self, at: int) -> tuple[str, int]:
        match = _STRING.match(self.text, at)
        if match is None:
            self._fail("a string without its closing quote", at)
        try:
            value = json.loads(match[0], strict=False)
        except ValueError:
            self._fail("a string with an escape that JSON does not know", at)
        return str(value), match.end()

    def _skip(self, at: int) -> int:
        while piece := PIECE.match(self.text, at):
            at = piece.end()
        return at

    def _seen(self, at: int) -> str:
        return f'"{self.text[at]}"' if at < len(self.text) else "the end"

    def _fail(self, what: str, at: int) -> NoReturn:
        raise JsoncError(what, self.text, at)

"""JSON with comments: changing one member while every other byte stays.

Comments, order, spacing, line endings, BOM and the last newline are kept, because an edit only cuts
and inserts text. Reading is `jsonc_reader`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from meshctl.desktop.jsonc_reader import BREAK, PIECE, JsoncError, Member, Node, parse, read

__all__ = ["JsoncError", "parse", "remove_member", "set_member"]

_INDENT = re.compile("\ufeff?([ \t]*)")


def set_member(text: str, path: Sequence[str], name: str, value: Any) -> str:
    """Return the text with `name` set in the object at `path`; missing objects are created.

    A member is added after the last one, in the style of its neighbours. Raises `JsoncError` when
    the text does not parse or something on the path is not an object.
    """
    root = read(text)
    holder, missing = _walk(text, root, path)
    for key in reversed(missing):
        name, value = key, {name: value}
    present = _last(holder, name)
    if present is not None:
        return _replace(text, present, value)
    if holder.members:
        return _append(text, holder, name, value)
    return _fill(text, root, holder, name, value)


def remove_member(text: str, path: Sequence[str], name: str) -> str:
    """Return the text without `name` in the object at `path`: the inverse of `set_member`.

    Comments stay; what is absent is no error. Raises `JsoncError` like `set_member`.
    """
    while True:
        holder, missing = _walk(text, read(text), path)
        present = None if missing else _last(holder, name)
        if present is None:
            return text
        text = _cut(text, holder, present)


def _walk(text: str, root: Node, path: Sequence[str]) -> tuple[Node, Sequence[str]]:
    """Return the deepest object that exists on the path, and the keys below it that do not."""
    node, shown = root, "the document"
    for depth, key in enumerate(path):
        _must_be_object(text, node, shown)
        member = _last(node, key)
        if member is None:
            return node, path[depth:]
        node, shown = member.value, f'"{key}"'
    _must_be_object(text, node, shown)
    return node, ()


def _must_be_object(text: str, node: Node, shown: str) -> None:
    if node.members is None:
        raise JsoncError(f"{shown} is not an object", text, node.start)


def _last(holder: Node, name: str) -> Member | None:
    """Return the member that a reader would see: the last of equal keys."""
    return next((m for m in reversed(holder.members or ()) if m.key == name), None)


def _replace(text: str, member: Member, value: Any) -> str:
    indent = _line_indent(text, member.start)
    alone = text[: member.start].endswith(indent) and _begins_line(text, member.start - len(indent))
    written = _dump(text, value, indent if alone else None)
    return text[: member.value.start] + written + text[member.value.end :]


def _fill(text: str, root: Node, holder: Node, name: str, value: Any) -> str:
    """Put a first member into an empty object, directly after its brace; what was inside stays."""
    head, tail = text[: holder.start + 1], text[holder.start + 1 :]
    if holder is not root and not BREAK.search(text, root.start, root.end):
        return f"{head}{json.dumps(name, ensure_ascii=False)}: {_dump(text, value, None)}{tail}"
    newline, outer = _newline(text), _line_indent(text, holder.start)
    inner = outer + _indent_step(text)
    member = f"{json.dumps(name, ensure_ascii=False)}: {_dump(text, value, inner)}"
    # What was inside may begin with a break of its own: then the line before it stays empty.
    close = "" if BREAK.match(tail) else outer
    return f"{head}{newline}{inner}{member}{newline}{close}{tail}"


def _append(text: str, holder: Node, name: str, value: Any) -> str:
    """Put a member after the last one, below the comments that share the last one's line."""
    members = holder.members or []
    last = members[-1]
    lead = text[_lead(text, _before(holder, last), last.start) : last.start]
    anchor = last.value.end if last.comma is None else last.comma + 1
    place, swallows = _line_comments(text, anchor)
    newline = _newline(text)
    if BREAK.search(lead):
        separator = newline + BREAK.split(lead)[-1]
    elif swallows:
        separator = newline + _line_indent(text, holder.start) + _indent_step(text)
    else:
        separator = lead if len(members) > 1 else " "
    indent = separator.removeprefix(newline) if separator.startswith(newline) else None
    colon = text[last.key_end : last.value.start]
    colon = colon if re.fullmatch(r"[ \t]*:[ \t]*", colon) else ": "
    written = json.dumps(name, ensure_ascii=False) + colon + _dump(text, value, indent)
    if last.comma is not None:
        return f"{text[:place]}{separator}{written},{text[place:]}"
    return f"{text[:anchor]},{text[anchor:place]}{separator}{written}{text[place:]}"


def _cut(text: str, holder: Node, member: Member) -> str:
    members = holder.members or []
    after = _before(holder, member)
    lead = _lead(text, after, member.start)
    if len(members) == 1 and lead == after and BREAK.search(text, lead, member.start):
        return _cut_only(text, holder, member)
    rest = _without_comma(text, member)
    head, gap = text[:after], text[after:lead]
    if member.comma is None and member is not members[0]:
        head = head[:-1]  # the comma before, which now has nothing to separate
    if _ends_in_line_comment(gap) and not re.match(r"[ \t]*[\r\n]", rest):
        # The break before the member is what ends the comment above it: it has to stay.
        gap += _newline(text)
    return head + gap + rest


def _without_comma(text: str, member: Member) -> str:
    """Return the text after a member, without the comma that belongs to it."""
    if member.comma is None:
        return text[member.value.end :]
    return text[member.value.end : member.comma] + text[member.comma + 1 :]


def _cut_only(text: str, holder: Node, member: Member) -> str:
    """Empty an object whose only member stands on a line of its own: the inverse of `_fill`."""
    tail = _without_comma(text, member)
    newline = _newline(text)
    if tail.startswith(newline):
        tail = tail.removeprefix(newline)
        if not BREAK.match(tail):
            tail = tail.removeprefix(_line_indent(text, holder.start))
    return text[: holder.start + 1] + tail


def _before(holder: Node, member: Member) -> int:
    """Return where the gap before a member begins: after the brace or the comma before it."""
    place = holder.start + 1
    for one in holder.members or ():
        if one is member:
            break
        place = place if one.comma is None else one.comma + 1
    return place


def _lead(text: str, start: int, end: int) -> int:
    """Return where the whitespace directly before `end` begins, comments in between left out."""
    lead = end
    for piece in PIECE.finditer(text, start, end):
        lead = piece.end() if piece[0].startswith("/") else piece.start()
    return lead


def _ends_in_line_comment(gap: str) -> bool:
    pieces = PIECE.findall(gap)
    return bool(pieces) and pieces[-1].startswith("//")


def _line_comments(text: str, at: int) -> tuple[int, bool]:
    """Return where the comments on this line end, and whether the last one runs to its end."""
    place = at
    while piece := PIECE.match(text, at):
        if BREAK.search(piece[0]):
            break
        at = piece.end()
        if piece[0].startswith("/"):
            place = at
        if piece[0].startswith("//"):
            return place, True
    return place, False


def _newline(text: str) -> str:
    found = re.search(r"\r\n|\n", text)
    return found[0] if found else "\n"


def _begins_line(text: str, at: int) -> bool:
    return at == 0 or text[at - 1] in "\r\n\ufeff"


def _line_indent(text: str, at: int) -> str:
    start = max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1
    found = _INDENT.match(text, start, at)
    return found[1] if found else ""


def _indent_step(text: str) -> str:
    """Return one level of indentation as this document has it; two spaces if it has none."""
    found = re.search(r'[\r\n]([ \t]+)"', text)
    return found[1] if found else "  "


def _dump(text: str, value: Any, indent: str | None) -> str:
    """Return a value's text: on one line, or over lines that begin with `indent`."""
    if indent is None:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    lines = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=_indent_step(text))
    return lines.replace("\n", _newline(text) + indent)

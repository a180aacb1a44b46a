"""What the options of `virtual attach` say of single tools, as the request has it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from msgspec import UNSET, Raw

from meshctl.cli import ask
from meshd.wire.errors import Usage
from meshd.wire.virtual import ToolOverrideEdit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshctl.cli.context import Ctx

Edits = dict[str, ToolOverrideEdit | None]
Pair = tuple[str, str]


def pairs(me: Ctx, option: str, given: Iterable[str]) -> list[Pair]:
    """`NAME=VALUE` texts apart, their values resolved where they stand elsewhere.

    Raises:
        Usage: one has no `=`, or nothing before it.
    """
    split = [_pair(option, text) for text in given]
    return [(name, ask.resolve_value(me, value, name=name)) for name, value in split]


def read(
    *,
    rename: Iterable[str],
    describe: Iterable[Pair],
    hide: Iterable[str],
    pin: Iterable[Pair],
    reset: Iterable[str],
) -> Edits:
    """The changes by tool.

    Raises:
        Usage: something is not written as the options have it.
    """
    made: dict[str, ToolOverrideEdit] = {}
    for text in rename:
        tool, name = _pair("--rename", text)
        made.setdefault(tool, ToolOverrideEdit()).name = name or None
    for tool, description in describe:
        made.setdefault(tool, ToolOverrideEdit()).description = description or None
    for text in hide:
        tool, argument = _argument("--hide", text)
        edit = made.setdefault(tool, ToolOverrideEdit())
        edit.hidden = [argument] if edit.hidden is UNSET else [*edit.hidden, argument]
    for place, value in pin:
        tool, argument = _argument("--pin", place)
        edit = made.setdefault(tool, ToolOverrideEdit())
        pinned = {} if edit.pinned is UNSET else edit.pinned
        edit.pinned = {**pinned, argument: _json(place, value)}
    edits: Edits = dict(made)
    for tool in reset:
        if tool in made:
            raise Usage(f"--reset {tool} goes without another option about {tool}")
        edits[tool] = None
    return edits


def _pair(option: str, text: str) -> Pair:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Usage(f'{option} takes NAME=VALUE, and "{text}" is not')
    return name, value


def _argument(option: str, text: str) -> Pair:
    """Tool and argument, split at the last dot: names of tools may have dots."""
    tool, dot, argument = text.rpartition(".")
    if not dot or not tool or not argument:
        raise Usage(f'{option} takes TOOL.ARGUMENT, and "{text}" is not')
    return tool, argument


def _json(place: str, value: str) -> Raw:
    try:
        json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise Usage(
            f"the value of --pin {place} is not JSON",
            facts={"a text is written": f"--pin '{place}=\"…\"'"},
        ) from None
    return Raw(value.encode())


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")

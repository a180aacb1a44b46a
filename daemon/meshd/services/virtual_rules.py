"""What may be said of a child of a virtual MCP: patterns, and how tools are overridden. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

import msgspec
from msgspec import UNSET, Raw, UnsetType

from meshd.services.definitions import Definition, Definitions
from meshd.services.grants import ANY, split_grant
from meshd.services.virtual_rows import ChildRow, Override, stored_child
from meshd.wire.errors import BadRequest
from meshd.wire.virtual import ToolOverrideEdit, VirtualAttach

MAX_PATTERNS = 100
MAX_PATTERN = 300
MAX_OVERRIDES = 200
MAX_ARGUMENTS = 50
MAX_TOOL_NAME = 128
MAX_DESCRIPTION = 2000
MAX_INSTRUCTIONS = 16 * 1024
MAX_STORED = 256 * 1024
"""Characters of all overrides of a child as JSON."""

_VALID_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
"""What names of tools are made of (2025-11-25, tools/names)."""


def check_text(text: str, what: str, longest: int) -> str:
    """A description, or instructions.

    Raises:
        BadRequest: it is too long, or holds a NUL.
    """
    if len(text) > longest or "\0" in text:
        raise BadRequest(f"the {what} is over {longest} characters, or holds a NUL")
    return text


def attached(before: ChildRow, asked: VirtualAttach, listed: Definitions | None) -> ChildRow:
    """The child as it is asked to be. `listed` is what it lists, where that is known.

    Raises:
        BadRequest: something said of it is not valid.
    """
    overrides = dict(before.overrides)
    for tool, edit in asked.overrides.items():
        if edit is None:
            overrides.pop(tool, None)
        else:
            overrides[tool] = _override(tool, overrides.get(tool, Override()), edit, listed)
    if len(overrides) > MAX_OVERRIDES:
        raise BadRequest(f"at most {MAX_OVERRIDES} tools of a child can be overridden")
    after = replace(
        before,
        tools=_of_tools(_patterns(asked.tools, before.tools)),
        resources=_patterns(asked.resources, before.resources),
        prompts=_patterns(asked.prompts, before.prompts),
        overrides=overrides,
    )
    if len(stored_child(after)["overrides"]) > MAX_STORED:
        raise BadRequest(f"what is overridden of a child is over {MAX_STORED >> 10} KiB")
    return after


def _patterns(
    asked: Sequence[str] | UnsetType | None, before: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    if asked is UNSET:
        return before
    if asked is None or ANY in asked:
        return None
    if len(asked) > MAX_PATTERNS or not all(
        0 < len(one) <= MAX_PATTERN and one.isprintable() for one in asked
    ):
        raise BadRequest(
            "that does not select anything",
            facts={"patterns are": f"up to {MAX_PATTERNS} of 1 to {MAX_PATTERN} characters"},
        )
    return tuple(dict.fromkeys(asked))


def _of_tools(patterns: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The patterns, none of which would be a grant on something else than tools."""
    for pattern in patterns or ():
        if split_grant(pattern)[0] != "tool":
            raise BadRequest(f'"{ascii(pattern[:60])[1:-1]}" is no pattern of tools')
    return patterns


def _override(
    tool: str, before: Override, edit: ToolOverrideEdit, listed: Definitions | None
) -> Override:
    found = _found(tool, listed)
    after = Override(
        name=before.name if edit.name is UNSET else _name(edit.name),
        description=before.description if edit.description is UNSET else edit.description,
        hidden=before.hidden if edit.hidden is UNSET else tuple(dict.fromkeys(edit.hidden)),
        pinned=before.pinned if edit.pinned is UNSET else _pinned(edit.pinned),
    )
    check_text(after.description or "", "description", MAX_DESCRIPTION)
    if len(after.hidden) + len(after.pinned) > MAX_ARGUMENTS:
        raise BadRequest(f"at most {MAX_ARGUMENTS} arguments of a tool can be hidden or pinned")
    if found is not None:
        _check_arguments(found, after)
    return after


def _found(tool: str, listed: Definitions | None) -> Definition | None:
    """The tool that is meant; None where the lists are not known."""
    if not 0 < len(tool) <= MAX_PATTERN:
        raise BadRequest("a tool that is overridden has a name")
    if listed is None:
        return None
    if tool not in listed.tools:
        near = get_close_matches(tool, listed.tools, n=3)
        raise BadRequest(
            f'there is no tool "{ascii(tool[:60])[1:-1]}"',
            facts={"near": " ".join(near)} if near else {},
        )
    return listed.tools[tool]


def _name(name: str | None) -> str | None:
    if name is None:
        return None
    if not 0 < len(name) <= MAX_TOOL_NAME or not _VALID_NAME.issuperset(name):
        raise BadRequest(
            f'"{ascii(name[:60])[1:-1]}" is not a name for a tool',
            facts={"names are": f"1 to {MAX_TOOL_NAME} of A-Z, a-z, 0-9, _, . and -"},
        )
    return name


def _pinned(given: Mapping[str, Raw]) -> dict[str, bytes]:
    for name, value in given.items():
        try:
            msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise BadRequest(
                f'the pinned value of "{ascii(name[:60])[1:-1]}" is not valid JSON'
            ) from None
    return {name: bytes(value) for name, value in given.items()}


def _check_arguments(tool: Definition, override: Override) -> None:
    """What is hidden or pinned has to be there, and what is hidden must not be missed."""
    try:
        schema = msgspec.json.decode(tool.input_schema)
    except (msgspec.DecodeError, RecursionError):
        return
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return
    closed = schema.get("additionalProperties", True) is False
    for name in (*override.hidden, *(override.pinned if closed else ())):
        if name not in properties:
            raise BadRequest(
                f'{tool.name} takes no argument "{ascii(name[:60])[1:-1]}"',
                facts={"it takes": ", ".join(map(str, properties))[:500]},
            )
    required = schema.get("required")
    for name in override.hidden:
        if isinstance(required, list) and name in required and name not in override.pinned:
            raise BadRequest(
                f"{tool.name} cannot be called without {name}, so hiding it needs a value",
                facts={"for example": f"--pin '{tool.name}.{name}=\"…\"'"},
            )

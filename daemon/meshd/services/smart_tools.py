"""The three tools of the mode `smart_tool_selection`: find a tool, read what it takes, call it.

They stand in the place of a list that would cost more than it is worth. Which tools there are for
a caller, and what a call does, is decided elsewhere.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from meshd.protocol.jsonrpc import INVALID_PARAMS, BadMessage
from meshd.protocol.members import UNREADABLE, text
from meshd.protocol.strict import check_members
from meshd.services.composing import Exposed
from meshd.services.virtual_rows import Mode

Asked = TypeVar("Asked", bound=Struct)

MODE: Mode = "smart_tool_selection"
SEARCH, DESCRIBE, CALL = "GATEWAY_SEARCH_TOOLS", "GATEWAY_DESCRIBE_TOOLS", "GATEWAY_CALL_TOOL"
NAMES = frozenset({SEARCH, DESCRIBE, CALL})
MAX_RESULTS = 100
MAX_DESCRIBED = 100
MAX_DESCRIPTION = 64 * 1024
"""Bytes of JSON with which one answer describes tools: some 16,000 tokens for a model to read."""
MAX_ASKED_NAME = 256
MAX_QUERY = 1000
MAX_SHOWN = 300
"""Characters of a description in the results of a search; describing a tool shows all of it."""

Search = Callable[[str, int], Sequence[str]]
"""The names of the tools that fit a query best, at most so many."""
NameOf = Callable[[str], str]
"""The name of a connection by its id."""


class _Search(Struct, forbid_unknown_fields=True):
    query: Annotated[str, Meta(min_length=1, max_length=MAX_QUERY)]
    limit: Annotated[int, Meta(ge=1, le=MAX_RESULTS)] = 10


class _Describe(Struct, forbid_unknown_fields=True):
    tools: Annotated[
        list[Annotated[str, Meta(max_length=MAX_ASKED_NAME)]],
        Meta(min_length=1, max_length=MAX_DESCRIBED),
    ]


class Inner(Struct, forbid_unknown_fields=True):
    """The call that `GATEWAY_CALL_TOOL` stands for."""

    name: str
    arguments: Raw = Raw(b"{}")


def entries(count: int) -> list[bytes]:
    """What `tools/list` shows in this mode; `count` is how many tools can be found."""
    return [
        _tool(
            SEARCH,
            f"Search the {count} tools that can be called here. Describe what you want to do; "
            "the answer names the tools that fit best.",
            {
                "query": {"type": "string", "minLength": 1, "maxLength": MAX_QUERY},
                "limit": {"type": "integer", "minimum": 1, "maximum": MAX_RESULTS, "default": 10},
            },
            required=["query"], reads=True,
        ),
        _tool(
            DESCRIBE,
            "Show what tools take and give, by their names as a search answers with them. "
            "What does not fit into one answer is named in leftOut, to be asked for again.",
            {"tools": {"type": "array", "items": {"type": "string", "maxLength": MAX_ASKED_NAME},
                       "minItems": 1, "maxItems": MAX_DESCRIBED}},
            required=["tools"], reads=True,
        ),
        _tool(
            CALL, "Call a tool by its name, with the arguments that its description asks for.",
            {"name": {"type": "string"}, "arguments": {"type": "object", "default": {}}},
            required=["name"], reads=False,
        ),
    ]  # fmt: skip


def offered(mode: Mode, tools: Sequence[Exposed]) -> list[Raw]:
    """What `tools/list` shows of tools in a mode."""
    if mode == MODE:
        return [Raw(entry) for entry in entries(len(tools))]
    return [one.raw for one in tools]


def inner_call(arguments: bytes) -> Inner:
    """What `GATEWAY_CALL_TOOL` is to call.

    Raises:
        BadMessage: the arguments do not say it, or repeat a member.
    """
    check_members(arguments or b"{}", {"name", "arguments"})
    asked = _read(Inner, arguments)
    if not bytes(asked.arguments).startswith(b"{"):
        raise BadMessage(INVALID_PARAMS, "the arguments of a tool are a JSON object")
    return asked


def answered(
    name: str, arguments: bytes, tools: Sequence[Exposed], search: Search, name_of: NameOf
) -> bytes:
    """The result of a search or a description among `tools`.

    Raises:
        BadMessage: the arguments are not valid.
    """
    by_name = {one.name: one for one in tools}
    if name == SEARCH:
        asked = _read(_Search, arguments)
        hits = [by_name[hit] for hit in search(asked.query, asked.limit) if hit in by_name]
        results = [{**_brief(one, name_of), "description": _begun(one)} for one in hits]
        return _result(
            {"query": asked.query, "results": results, "totalAvailable": len(by_name)}
        )  # fmt: skip
    wanted = dict.fromkeys(_read(_Describe, arguments).tools)
    there = [by_name[one] for one in wanted if one in by_name]
    missing = [one for one in wanted if one not in by_name]
    return _result({**_described(there, name_of), "notFound": missing})


def _described(wanted: Sequence[Exposed], name_of: NameOf) -> dict[str, object]:
    """Whole definitions, as many as fit; the others are named, with what to do about it."""
    found: list[Raw] = []
    left_out: list[str] = []
    too_large: list[str] = []
    size = 0
    for one in wanted:
        told = msgspec.json.encode({
            **_brief(one, name_of),
            "inputSchema": one.entry.get("inputSchema", Raw(b"{}")),
            "outputSchema": one.entry.get("outputSchema", Raw(b"null")),
        })  # fmt: skip
        if len(told) > MAX_DESCRIPTION:
            too_large.append(one.name)
        elif size + len(told) > MAX_DESCRIPTION:
            left_out.append(one.name)
        else:
            found.append(Raw(told))
            size += len(told)
    said: dict[str, object] = {"tools": found}
    if left_out:
        said["leftOut"] = left_out
        said["note"] = (
            f"An answer describes tools in {MAX_DESCRIPTION} bytes at most: ask again for those"
            " in leftOut."
        )
    if too_large:
        said["tooLarge"] = too_large
        said["tooLargeNote"] = (
            f"Each tool in tooLarge takes more than {MAX_DESCRIPTION} bytes to describe, and is"
            " only shown in the list of all tools, with ?mode=passthrough in the URL. It can be"
            " called here all the same."
        )
    return said


def _brief(one: Exposed, name_of: NameOf) -> dict[str, object]:
    return {
        "name": one.name,
        "description": one.entry.get("description", Raw(b'""')),
        "connection": name_of(one.route.connection),
    }


def _begun(one: Exposed) -> str:
    """What a description begins with: a list of results is not to fill its reader's context."""
    whole = text(one.entry.get("description")) or ""
    return whole if len(whole) <= MAX_SHOWN else f"{whole[: MAX_SHOWN - 1]}…"


def _result(said: object) -> bytes:
    content = [{"type": "text", "text": msgspec.json.encode(said).decode()}]
    return msgspec.json.encode({"content": content})


def _read(kind: type[Asked], arguments: bytes) -> Asked:
    try:
        return msgspec.json.decode(arguments or b"{}", type=kind)
    except UNREADABLE as error:
        raise BadMessage(INVALID_PARAMS, f"arguments: {error}") from None


def _tool(
    name: str, description: str, properties: dict[str, Any], *, required: list[str], reads: bool
) -> bytes:
    return msgspec.json.encode({
        "name": name, "description": description,
        "inputSchema": {"type": "object", "properties": properties, "required": required,
                        "additionalProperties": False},
        "annotations": {"readOnlyHint": True} if reads else {},
    })  # fmt: skip

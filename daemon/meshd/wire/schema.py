"""JSON Schema (2020-12) of the wire types, for who knows the contract only by its documents."""

from collections.abc import Iterable
from inspect import cleandoc
from typing import Any

import msgspec

LIST = "result"
"""The member that holds a list where an object is wanted, as in the official SDKs of MCP."""

_TEMPLATE = "#/$defs/{name}"


def of_request(kind: type[Any]) -> dict[str, Any]:
    """The schema of a request type: an object that takes no other members."""
    return {**_rooted(kind), "additionalProperties": False}


def of_answer(kind: Any) -> dict[str, Any]:
    """The schema of an answer type as an object: a list becomes the member `LIST` of one."""
    (whole,), named = parts([kind], _TEMPLATE)
    if "$ref" in whole:
        return _rooted(kind)
    made = {"type": "object", "properties": {LIST: whole}, "required": [LIST]}
    return {**made, "$defs": named} if named else made


def parts(kinds: Iterable[Any], template: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The schema of each kind, and the named ones that they refer to by `template`."""
    schemas, named = msgspec.json.schema_components(kinds, ref_template=template)
    return list(schemas), {name: _told(schema) for name, schema in named.items()}


def _rooted(kind: Any) -> dict[str, Any]:
    """The schema of a struct with its own members at the root, where MCP wants them."""
    (whole,), named = parts([kind], _TEMPLATE)
    root = named.pop(whole["$ref"].removeprefix(_TEMPLATE.format(name="")))
    return {**root, "$defs": named} if named else dict(root)


def _told(schema: dict[str, Any]) -> dict[str, Any]:
    """The same with its description as it is read, not as it stands in the source."""
    told = schema.get("description")
    return {**schema, "description": cleandoc(told)} if told else schema

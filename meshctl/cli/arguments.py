"""A tool's arguments from a command line: KEY=VALUE by the tool's schema, JSON as it came.

No I/O: where the JSON and the schema come from is the command's business.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from meshd.wire.errors import Usage

Schema = Mapping[str, Any]

_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}
_HELP = "meshctl tool show CONNECTION TOOL"

_REFERENCES = 8
"""References followed from one property: a schema may refer to itself."""


def base(text: str) -> bytes:
    """The JSON object of `--args`, byte for byte.

    Raises:
        Usage: it is not a JSON object.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
    except ValueError as error:
        raise Usage("--args is not JSON", facts={"reason": str(error)}) from None
    if not isinstance(value, dict):
        raise Usage("--args must be a JSON object", facts={"for example": '{"key": "value"}'})
    return text.encode()


def merged(under: bytes, pairs: Sequence[str], schema: Schema) -> bytes:
    """The JSON object `under` with each KEY=VALUE of `pairs` on top, typed by `schema`.

    Raises:
        Usage: a pair has no `=`, or its value is not of the type that the tool declares.
    """
    values: dict[str, Any] = json.loads(under)
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise Usage(f'"{pair}" is not KEY=VALUE', next=_HELP)
        values[key] = typed(key, text, schema)
    return json.dumps(values, ensure_ascii=False).encode("utf-8", "surrogatepass")


def typed(key: str, text: str, schema: Schema) -> Any:
    """The value of one argument: a string where the tool takes one or says nothing, else JSON.

    Raises:
        Usage: the text is not JSON of a type that the tool takes.
    """
    properties = schema.get("properties")
    declared = properties.get(key) if isinstance(properties, dict) else None
    types = _types(declared, schema, _REFERENCES)
    if not types or "string" in types:
        return text
    try:
        value = json.loads(text, parse_constant=_refuse)
    except ValueError:
        value = Ellipsis  # equal to no JSON value, so of no type
    if not any(_is(value, name) for name in types):
        raise Usage(
            f"{key} takes {' or '.join(sorted(types))}, written as JSON",
            facts={"given": text, "for example": _example(key, types)},
            next=_HELP,
        )
    return value


def _types(declared: Any, root: Schema, left: int) -> set[str]:
    """The JSON types a property may have; empty when its schema does not say."""
    if not isinstance(declared, dict) or left == 0:
        return set()
    if isinstance(pointer := declared.get("$ref"), str):
        return _types(_resolve(pointer, root), root, left - 1)
    named = declared.get("type")
    if named is not None:
        names = named if isinstance(named, list) else [named]
        return {name for name in names if name == "string" or name in _KINDS}
    found = set()
    for word in ("anyOf", "oneOf", "allOf"):
        branches = declared.get(word)
        for branch in branches if isinstance(branches, list) else []:
            found |= _types(branch, root, left - 1)
    return found


def _resolve(pointer: str, root: Schema) -> Any:
    """What a local reference names (RFC 6901 within the schema itself), or nothing."""
    held: Any = root
    for step in pointer.removeprefix("#/").split("/"):
        held = held.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(held, dict) else 0
    return held


def _is(value: Any, name: str) -> bool:
    """Whether a decoded value has a JSON type; `2.0` is an integer, `true` is no number."""
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return name in _KINDS and isinstance(value, _KINDS[name])


def _example(key: str, types: set[str]) -> str:
    samples = {"array": '\'["a", "b"]\'', "object": "'{\"a\": 1}'", "boolean": "true"}
    return f"{key}=" + next((samples[name] for name in sorted(types) if name in samples), "1")


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")

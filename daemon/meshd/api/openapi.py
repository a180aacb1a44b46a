"""The document of the control calls (OpenAPI 3.1), made of the call table and of nothing else.

Its schemas are those of the wire types, its errors those of `wire/errors.py`.
"""

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from string import Formatter
from typing import Any

import msgspec

from meshd.core.answers import JSON
from meshd.wire import schema
from meshd.wire.calls.row import Call
from meshd.wire.errors import KINDS, DaemonDown, MeshError, Usage
from meshd.wire.version import VERSION

PATH = "/openapi.json"
VERSION_OF_OPENAPI = "3.1.0"
NDJSON = "application/x-ndjson"

_SCHEMAS = "#/components/schemas/"
_LOCAL = frozenset({DaemonDown, Usage})
"""Errors that the command line finds by itself."""
_SENT = [kind for kind in KINDS.values() if kind not in _LOCAL]
_OF_BODIES = frozenset({408, 413, 415})
"""Statuses of requests that have a body."""
_RIGHTS = {
    "own": "Open to persons; a key needs the grant `self/{name}`.",
    "target": "Decided by the grants on the connection.",
    "org": "Needs the grant `self/{name}`.",
    "instance": "Needs the grant `self/{name}` and an instance admin as the key's owner.",
}


def document(calls: Iterable[Call], *, on_socket: bool) -> dict[str, Any]:
    """The calls that are served there; those for the socket alone stand in its document only."""
    rows = [call for call in calls if on_socket or not call.socket_only]
    kinds = [kind for call in rows for kind in (call.asks, call.answers)]
    schemas, named = schema.parts(kinds, _SCHEMAS + "{name}")
    paths: dict[str, dict[str, Any]] = {}
    for call, asks, answers in zip(rows, schemas[::2], schemas[1::2], strict=True):
        operation = _operation(call, named[asks["$ref"].removeprefix(_SCHEMAS)], answers)
        paths.setdefault(call.path, {})[call.method.lower()] = operation
    said = msgspec.json.encode([paths, named])
    return {
        "openapi": VERSION_OF_OPENAPI,
        "info": {"title": "meshctl", "version": VERSION, "summary": "The control calls of meshd."},
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "parameters": {"Org": _ORG},
            "responses": dict(_responses()),
            # What a call asks stands with the call, which may have a part of it in its path.
            "schemas": {"Error": _ERROR}
            | {name: one for name, one in named.items() if f'"{_SCHEMAS}{name}"'.encode() in said},
        },
    }


def _operation(call: Call, asks: dict[str, Any], answers: dict[str, Any]) -> dict[str, Any]:
    in_path = {name for _, name, _, _ in Formatter().parse(call.path) if name}
    required = set(asks.get("required", ()))
    members = asks.get("properties", {})
    rest = {name: one for name, one in members.items() if name not in in_path}
    with_body = call.method in {"POST", "PATCH"}
    parameters: list[dict[str, Any]] = [{"$ref": "#/components/parameters/Org"}]
    parameters += [
        {
            "name": name,
            "in": "path" if name in in_path else "query",
            "required": name in required,
            "schema": one,
        }
        for name, one in members.items()
        if name in in_path or not with_body
    ]
    made: dict[str, Any] = {
        "operationId": call.name,
        "tags": [call.name.partition(".")[0]],
        "summary": call.summary,
        "description": _RIGHTS[call.right].format(name=call.name),
        "parameters": parameters,
    }
    if with_body:
        needed = sorted(required - in_path)
        body = {"type": "object", "properties": rest, "additionalProperties": False}
        if about := asks.get("description"):
            body["description"] = about
        if needed:
            body["required"] = needed
        made["requestBody"] = {"required": bool(needed), "content": {JSON: {"schema": body}}}
    told = "One object a line, blank lines between." if call.streams else "Done."
    kind = NDJSON if call.streams else JSON
    made["responses"] = {"200": {"description": told, "content": {kind: {"schema": answers}}}} | {
        str(status): {"$ref": f"#/components/responses/{status}"}
        for status in _statuses()
        if with_body or status not in _OF_BODIES
    }
    return made


def _statuses() -> list[int]:
    return sorted({kind.status for kind in _SENT})


def _responses() -> Iterator[tuple[str, dict[str, Any]]]:
    """One for each status, with the errors that have it."""
    for status in _statuses():
        kinds = sorted({kind.code: kind for kind in _SENT if kind.status == status}.items())
        told = " ".join(f"`{code}`: {_sentence(kind)}" for code, kind in kinds)
        yield (
            str(status),
            {
                "description": f"{HTTPStatus(status).phrase}. {told}",
                "content": {JSON: {"schema": {"$ref": _SCHEMAS + "Error"}}},
            },
        )


def _sentence(kind: type[MeshError]) -> str:
    return (kind.__doc__ or "").split("\n", 1)[0]


_ORG = {
    "name": "Meshctl-Org",
    "in": "header",
    "description": "Name or id of the org; a key's own decides where it is absent.",
    "schema": {"type": "string"},
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"enum": sorted(kind.code for kind in _SENT)},
                "message": {"type": "string"},
                "facts": {"type": "object", "additionalProperties": {"type": "string"}},
                "next": {"type": "string", "description": "A command that helps."},
            },
        }
    },
}

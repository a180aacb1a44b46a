"""`GET /openapi.json`: the document and the daemon say the same."""

import re
from string import Formatter
from typing import Any

import jsonschema
import pytest

from meshd.api import openapi
from meshd.services.access import is_exact
from meshd.wire.calls import CALLS
from meshd.wire.calls.row import Call
from meshd.wire.errors import KINDS
from tests.support import stdio_server
from tests.support.daemon import Answer, Daemon

METHODS = ("get", "post", "put", "patch", "delete")
PUBLIC = [call for call in CALLS if not call.socket_only]


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon) -> str:
    """A key for all of management, beside a connection."""
    shared_daemon.connect("local", *stdio_server.command())
    exact = (f"self/{call.name}" for call in PUBLIC if is_exact(call))
    return shared_daemon.add_key("reader", "*", "self", *exact)


@pytest.fixture(scope="module")
def document(shared_daemon: Daemon, key: str) -> dict[str, Any]:
    answer = shared_daemon.tcp("GET", "/openapi.json", key=key)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    return dict(answer.json())


def operations(document: dict[str, Any]) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """(method, path, operation) by the operation's id."""
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def refs(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(refs, value))
    if not isinstance(value, dict):
        return set()
    own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
    return own.union(*map(refs, value.values()))


def resolved(document: dict[str, Any], ref: str) -> Any:
    found: Any = document
    for part in ref.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_a_key_is_needed_and_any_is_enough(shared_daemon: Daemon) -> None:
    assert shared_daemon.tcp("GET", "/openapi.json").status == 401
    assert shared_daemon.tcp("GET", "/openapi.json", key="mshs_garbage").status == 401
    nobody = shared_daemon.add_key("nobody", "self/status")
    assert shared_daemon.tcp("GET", "/openapi.json", key=nobody).status == 200
    assert shared_daemon.tcp("POST", "/openapi.json", {}, key=nobody).status == 405


def test_it_has_every_call_that_is_served_there(
    shared_daemon: Daemon, document: dict[str, Any]
) -> None:
    """Over TCP without those for the socket alone, which the socket's own has."""
    table = {call.name: (call.method, call.path) for call in PUBLIC}
    assert {name: found[:2] for name, found in operations(document).items()} == table
    there = shared_daemon.ask("GET", "/openapi.json").json()
    table = {call.name: (call.method, call.path) for call in CALLS}
    assert {name: found[:2] for name, found in operations(there).items()} == table


def _probe(daemon: Daemon, key: str, method: str, template: str) -> Answer:
    names = [name for _, name, _, _ in Formatter().parse(template) if name]
    path = template.format(**dict.fromkeys(names, "no-such-thing"))
    query = "?follow=false" if "/tail/" in path else ""
    body = {"no such field": 1} if method in {"post", "put", "patch"} else None
    return daemon.tcp(method.upper(), path + query, body, key=key)


def test_every_path_and_method_of_it_is_served_and_no_other_method(
    shared_daemon: Daemon, key: str, document: dict[str, Any]
) -> None:
    for path, item in document["paths"].items():
        for method in METHODS:
            answer = _probe(shared_daemon, key, method, path)
            if method in item:
                said = answer.body.decode()
                assert answer.status in {200, 400, 404}, (method, path, said)
                assert "there is no such call" not in said
            else:
                assert answer.status == 405, (method, path)


def test_its_references_lead_somewhere_and_its_schemas_are_some(document: dict[str, Any]) -> None:
    """Nothing dangles, nothing is left over."""
    assert document["openapi"] == "3.1.0"
    for ref in refs(document):
        assert resolved(document, ref) is not None
    used = {ref.rpartition("/")[2] for ref in refs(document) if "/schemas/" in ref}
    assert used == document["components"]["schemas"].keys()
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for _, _, operation in operations(document).values():
        body = operation.get("requestBody")
        if body is not None:
            jsonschema.Draft202012Validator.check_schema(body["content"][openapi.JSON]["schema"])


@pytest.mark.parametrize("call", PUBLIC, ids=lambda call: call.name)
def test_an_operation_asks_for_what_the_call_asks(document: dict[str, Any], call: Call) -> None:
    """Each field of its request type stands in one place: path, query or body."""
    _, path, operation = operations(document)[call.name]
    fields: dict[str, str] = {}
    for parameter in operation["parameters"]:
        found = resolved(document, parameter["$ref"]) if "$ref" in parameter else parameter
        fields[found["name"]] = found["in"]
        assert found.get("required") is True or found["in"] != "path"
    assert fields.pop("Meshctl-Org") == "header"
    if call.method in {"POST", "PATCH"}:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert schema["additionalProperties"] is False
        fields |= dict.fromkeys(schema["properties"], "body")
        assert operation["requestBody"]["required"] == bool(schema.get("required"))
    else:
        assert "requestBody" not in operation
    in_path = set(re.findall(r"\{(\w+)\}", path))
    elsewhere = "body" if call.method in {"POST", "PATCH"} else "query"
    assert fields == {
        name: "path" if name in in_path else elsewhere for name in call.asks.__struct_fields__
    }
    (kind,) = operation["responses"]["200"]["content"]
    assert kind == ("application/x-ndjson" if call.streams else "application/json")


def test_every_error_that_is_sent_is_told(document: dict[str, Any]) -> None:
    """Each code of `wire/errors.py` but those that the command line finds by itself."""
    error = document["components"]["schemas"]["Error"]["properties"]["error"]
    codes = KINDS.keys() - {"daemon_down", "usage"}
    assert set(error["properties"]["code"]["enum"]) == codes
    responses = document["components"]["responses"]
    for code in codes:
        assert f"`{code}`" in responses[str(KINDS[code].status)]["description"]


@pytest.mark.parametrize(
    "path",
    ["/v1/status", "/v1/whoami", "/v1/connections", "/v1/connections/{connection}", "/v1/keys",
     "/v1/keys/{key}", "/v1/tools", "/v1/connections/{connection}/tools/{tool}", "/v1/calls"],
)  # fmt: skip
def test_answers_are_what_it_says(
    shared_daemon: Daemon, key: str, document: dict[str, Any], path: str
) -> None:
    """Real answers against the schemas."""
    shared_daemon.tcp("POST", "/mcp/local/call-tool/echo", {}, key=key)
    answer = shared_daemon.tcp(
        "GET", path.format(connection="local", key="reader", tool="echo"), key=key
    )
    assert answer.status == 200
    operation = document["paths"][path]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    validator = jsonschema.Draft202012Validator(schema | {"components": document["components"]})
    validator.validate(answer.json())


def test_an_error_is_what_it_says(
    shared_daemon: Daemon, key: str, document: dict[str, Any]
) -> None:
    schema = document["components"]["schemas"]["Error"]
    for method, path in (
        ("GET", "/v1/keys/none"),
        ("GET", "/v1/calls?limit=0"),
        ("PUT", "/v1/keys"),
    ):
        jsonschema.validate(shared_daemon.tcp(method, path, key=key).json(), schema)
    jsonschema.validate(shared_daemon.tcp("GET", "/v1/keys").json(), schema)

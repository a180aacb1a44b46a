"""JSON Schema of the wire types: an object at the root, and the types' own rules in it."""

from typing import Any

import jsonschema
import msgspec
import pytest

from meshd.wire import schema
from meshd.wire.calls import CALLS
from meshd.wire.calls.row import Call
from meshd.wire.key import KeyAdd, KeyEdit
from meshd.wire.tool import ToolCall


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_every_call_has_schemas_with_an_object_at_the_root(call: Call) -> None:
    for made in (schema.of_request(call.asks), schema.of_answer(call.answers)):
        jsonschema.Draft202012Validator.check_schema(made)
        assert made["type"] == "object"
    assert set(schema.of_request(call.asks)["properties"]) == set(call.asks.__struct_fields__)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (KeyAdd, {"name": "a"}), (KeyAdd, {"name": "a", "allow": ["x"], "role": None}),
        (KeyAdd, {}), (KeyAdd, {"name": 5}), (KeyAdd, {"name": "a", "allow": [1]}),
        (KeyAdd, {"name": "a", "read_only": "yes"}), (KeyAdd, []),
        (KeyEdit, {"key": "a", "role": None}), (KeyEdit, {"key": "a", "name": None}),
        (ToolCall, {"connection": "a", "tool": "b", "arguments": {"any": [1]}}),
        (ToolCall, {"connection": "a"}),
    ],
    ids=str,
)  # fmt: skip
def test_a_schema_takes_what_the_type_takes(kind: type[Any], value: Any) -> None:
    try:
        msgspec.json.decode(msgspec.json.encode(value), type=kind)
    except msgspec.ValidationError:
        taken = False
    else:
        taken = True
    assert jsonschema.Draft202012Validator(schema.of_request(kind)).is_valid(value) is taken


def test_a_list_is_the_member_of_an_object() -> None:
    """And what it refers to is at the root, where references look for it."""
    row = next(call for call in CALLS if call.name == "key.list")
    made = schema.of_answer(row.answers)
    assert made["properties"] == {"result": {"type": "array", "items": {"$ref": "#/$defs/Key"}}}
    assert made["required"] == ["result"]
    assert made["$defs"]["Key"]["type"] == "object"
    assert "\n    " not in made["$defs"]["Key"]["description"]

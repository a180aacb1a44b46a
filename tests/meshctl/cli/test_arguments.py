"""KEY=VALUE arguments of a tool: typed by the schema that the tool declares."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshctl.cli.arguments import base, merged, typed
from meshd.wire.errors import Usage

SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "ratio": {"type": "number"},
        "dry": {"type": "boolean"},
        "labels": {"type": "array"},
        "where": {"type": "object"},
        "maybe_text": {"type": ["string", "null"]},
        "maybe_count": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "mixed": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        "colour": {"$ref": "#/$defs/Colour"},
        "level": {"$ref": "#/$defs/Le~1vel"},
        "loop": {"$ref": "#/$defs/Loop"},
        "lost": {"$ref": "#/$defs/Nowhere"},
        "free": {},
        "odd": True,
    },
    "$defs": {
        "Colour": {"type": "string", "enum": ["red"]},
        "Le/vel": {"allOf": [{"type": "integer"}]},
        "Loop": {"$ref": "#/$defs/Loop"},
    },
}


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("text", "123", "123"),
        ("text", "", ""),
        ("text", "a=b", "a=b"),
        ("count", "42", 42),
        ("count", "2.0", 2.0),
        ("count", "-7", -7),
        ("ratio", "1.5", 1.5),
        ("ratio", "3", 3),
        ("dry", "true", True),
        ("labels", '["a", "b"]', ["a", "b"]),
        ("where", '{"a": 1}', {"a": 1}),
        ("maybe_text", "null", "null"),
        ("maybe_count", "null", None),
        ("maybe_count", "5", 5),
        ("mixed", "5", "5"),
        ("colour", "red", "red"),
        ("level", "3", 3),
        ("loop", "3", "3"),
        ("lost", "3", "3"),
        ("free", "3", "3"),
        ("odd", "3", "3"),
        ("unknown", "true", "true"),
    ],
)
def test_typed(key, text, value):
    """A string stays one, and so does what the schema is silent about; the rest is JSON."""
    assert typed(key, text, SCHEMA) == value
    assert type(typed(key, text, SCHEMA)) is type(value)


@pytest.mark.parametrize(
    ("key", "text", "sentence"),
    [
        ("count", "many", "count takes integer, written as JSON"),
        ("count", "2.5", "count takes integer, written as JSON"),
        ("count", "true", "count takes integer, written as JSON"),
        ("ratio", "NaN", "ratio takes number, written as JSON"),
        ("ratio", "false", "ratio takes number, written as JSON"),
        ("dry", "yes", "dry takes boolean, written as JSON"),
        ("labels", "a,b", "labels takes array, written as JSON"),
        ("where", "[]", "where takes object, written as JSON"),
        ("maybe_count", '"5"', "maybe_count takes integer or null, written as JSON"),
    ],
)
def test_a_value_of_another_type_is_refused(key, text, sentence):
    """Nothing is guessed: the error names the type and shows how it is written."""
    with pytest.raises(Usage, match=sentence) as caught:
        typed(key, text, SCHEMA)
    assert caught.value.facts["given"] == text
    assert caught.value.facts["for example"].startswith(f"{key}=")


@given(st.text())
def test_any_text_is_a_string(text):
    """What a string argument is given arrives unchanged, whatever it looks like."""
    given_back = json.loads(merged(b"{}", [f"text={text}"], SCHEMA))
    assert given_back == {"text": text}


def test_pairs_lie_on_top_of_the_base():
    """--args gives the ground, KEY=VALUE replaces and adds; the last of equal keys wins."""
    under = base('{"text": "old", "kept": [1]}')
    pairs = ["text=new", "count=1", "count=2"]
    assert json.loads(merged(under, pairs, SCHEMA)) == {"text": "new", "kept": [1], "count": 2}


def test_the_base_alone_is_sent_as_it_was_typed():
    """Numbers of any length and spacing are the tool's business."""
    text = '{ "n": 123456789012345678901234567890.0 }'
    assert base(text) == text.encode()


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "null", '{"a": NaN}'])
def test_a_base_that_is_no_object_is_refused(text):
    """Arguments are a JSON object."""
    with pytest.raises(Usage, match="--args"):
        base(text)


@pytest.mark.parametrize("pair", ["novalue", "=x", ""])
def test_a_pair_without_key_or_value_is_refused(pair):
    """The pair that was typed stands in the sentence."""
    with pytest.raises(Usage, match="is not KEY=VALUE"):
        merged(b"{}", [pair], {})

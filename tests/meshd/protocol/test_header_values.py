"""Parameters in headers: the codec, which parameters, and whether both places agree."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.protocol.header_values import (
    decoded,
    disagreement,
    encoded,
    marked,
    repeated,
    without_mismarked,
)
from meshd.protocol.jsonrpc import BadMessage

SCHEMA = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "limits": {"type": "object", "properties": {
            "most": {"type": "integer", "x-mcp-header": "Most"},
        }},
        "dry": {"type": "boolean", "x-mcp-header": "Dry"},
    },
}  # fmt: skip
MARKS = marked(json.dumps(SCHEMA).encode())


@given(st.text())
def test_every_value_survives(value: str) -> None:
    """Whatever a client wants there can be a header, and comes back as it was."""
    sent = encoded(value)
    assert sent.isascii()
    assert sent.isprintable()
    assert sent == sent.strip()
    assert decoded(sent) == value


@pytest.mark.parametrize(
    "bad", ["=?base64?!?=", "=?base64?YQ?=", "=?base64?YR==?=", "=?base64?/w==?="]
)
def test_base64_that_is_none(bad: str) -> None:
    """It never agrees with a body by accident."""
    assert decoded(bad) is None


def test_which_parameters_are_marked() -> None:
    """Along `properties`, at any depth."""
    assert [(mark.path, mark.header) for mark in MARKS] == [
        (("region",), "Region"), (("limits", "most"), "Most"), (("dry",), "Dry"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "properties",
    [
        {"a": {"type": "number", "x-mcp-header": "A"}},
        {"a": {"type": "string", "x-mcp-header": "A B"}},
        {"a": {"type": "string", "x-mcp-header": 7}},
        {"a": {"type": ["string"], "x-mcp-header": "A"}},
        {
            "a": {"type": "string", "x-mcp-header": "A"},
            "b": {"type": "string", "x-mcp-header": "a"},
        },
    ],
)
def test_marks_that_are_not_valid(properties: dict[str, Any]) -> None:
    """Clients leave such a tool out, so there is nothing to compare."""
    assert marked(json.dumps({"properties": properties}).encode()) == ()


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({}, {}),
        ({"region": None}, {}),
        ({"region": "eu"}, {"Mcp-Param-Region": "eu"}),
        ({"region": "größe"}, {"Mcp-Param-Region": "=?base64?Z3LDtsOfZQ==?="}),
        ({"limits": {"most": 42}}, {"Mcp-Param-Most": "42"}),
        ({"limits": {"most": 42.0}}, {"Mcp-Param-Most": "42.0"}),
        ({"limits": 7, "dry": True}, {"Mcp-Param-Dry": "true"}),
    ],
)
def test_headers_of_arguments(arguments: dict[str, Any], headers: dict[str, str]) -> None:
    """What is sent agrees with what is checked."""
    raw = json.dumps(arguments).encode()
    assert repeated(MARKS, raw) == headers
    assert disagreement(MARKS, raw, lambda n: [headers[n]] if n in headers else []) is None


@pytest.mark.parametrize(
    ("arguments", "headers", "wrong"),
    [
        ({}, {"Mcp-Param-Region": ["eu"]}, "Mcp-Param-Region"),
        ({"region": "eu"}, {}, "Mcp-Param-Region"),
        ({"region": "eu"}, {"Mcp-Param-Region": ["us"]}, "Mcp-Param-Region"),
        ({"region": "eu"}, {"Mcp-Param-Region": ["eu", "eu"]}, "Mcp-Param-Region"),
        ({"limits": {"most": 42}}, {"Mcp-Param-Most": ["43"]}, "Mcp-Param-Most"),
        ({"limits": {"most": 42}}, {"Mcp-Param-Most": ["42.0"]}, None),
        ({"limits": {"most": "42"}}, {"Mcp-Param-Most": ["42.0"]}, "Mcp-Param-Most"),
        ({"dry": True}, {"Mcp-Param-Dry": ["1"]}, "Mcp-Param-Dry"),
    ],
)
def test_headers_that_disagree(
    arguments: dict[str, Any], headers: dict[str, list[str]], wrong: str | None
) -> None:
    """Numbers agree by value, all else by letter; both may be absent."""
    raw = json.dumps(arguments).encode()
    assert disagreement(MARKS, raw, lambda name: headers.get(name, [])) == wrong


def test_a_repeated_argument_on_the_way() -> None:
    """Who compares only one of them has compared nothing."""
    with pytest.raises(BadMessage, match="repeated"):
        disagreement(MARKS, b'{"region":"eu","region":"us"}', lambda _: ["us"])


def test_tools_whose_marks_are_not_valid_are_left_out_of_a_list():
    """One malformed definition hides itself alone; everything else keeps its bytes."""
    good = (
        b'{"name": "a", "inputSchema": {"properties": {"r": {"type":"string","x-mcp-header":"R"}}}}'
    )
    bad = b'{"name":"b","inputSchema":{"properties":{"r":{"type":"number","x-mcp-header":"R"}}}}'
    plain = b'{"name":"c", "inputSchema":{}}'
    listed = b'{"tools":[%b,%b,%b],"nextCursor":"more"}' % (good, bad, plain)
    assert without_mismarked(listed) == b'{"tools":[%b,%b],"nextCursor":"more"}' % (good, plain)
    unmarked = b'{ "tools": [%b] }' % plain
    assert without_mismarked(unmarked) is unmarked

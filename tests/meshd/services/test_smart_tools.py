"""The three tools that stand for a long list."""

import json
from typing import Any

import pytest
from msgspec import Raw

from meshd.protocol.jsonrpc import BadMessage
from meshd.services import smart_tools
from meshd.services.composing import Exposed, of_connection

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def tools() -> list[Exposed]:
    entries: list[dict[str, Any]] = [
        {"name": "rain", "description": "Tells of rain.", "inputSchema": SCHEMA},
        {"name": "sun", "inputSchema": {}, "outputSchema": {"type": "object"}},
        {"name": "snow", "description": "é" * 5000, "inputSchema": {}},
    ]
    return of_connection("conn_w", "tool", [Raw(json.dumps(e).encode()) for e in entries])


def asked(name: str, arguments: Any, hits: list[str] | None = None) -> Any:
    """What the text of the result says."""
    found = smart_tools.answered(
        name, json.dumps(arguments).encode(), tools(),
        lambda query, limit: (hits or [])[:limit], {"conn_w": "weather"}.__getitem__,
    )  # fmt: skip
    (content,) = json.loads(found)["content"]
    return json.loads(content["text"])


def test_a_search_answers_with_what_fits() -> None:
    """A name that is not among the caller's tools is none of the results."""
    assert asked(smart_tools.SEARCH, {"query": "wet", "limit": 2}, ["rain", "gone"]) == {
        "query": "wet",
        "results": [{"name": "rain", "description": "Tells of rain.", "connection": "weather"}],
        "totalAvailable": 3,
    }


def test_results_are_brief() -> None:
    """A hundred long descriptions would fill the reader's context; describing a tool shows all."""
    (found,) = asked(smart_tools.SEARCH, {"query": "white"}, ["snow"])["results"]
    assert found["description"] == "é" * (smart_tools.MAX_SHOWN - 1) + "…"
    (told,) = asked(smart_tools.DESCRIBE, {"tools": ["snow"]})["tools"]
    assert told["description"] == "é" * 5000


def test_a_description_has_the_schemas_and_names_what_is_not_there() -> None:
    assert asked(smart_tools.DESCRIBE, {"tools": ["rain", "hail", "sun", "rain"]}) == {
        "tools": [
            {"name": "rain", "description": "Tells of rain.", "connection": "weather",
             "inputSchema": SCHEMA, "outputSchema": None},
            {"name": "sun", "description": "", "connection": "weather", "inputSchema": {},
             "outputSchema": {"type": "object"}},
        ],
        "notFound": ["hail"],
    }  # fmt: skip


def test_a_description_is_bounded_in_bytes_and_names_what_is_left_out() -> None:
    """Asking again for what was left out gets to the end; no definition is ever cut."""
    sizes = {f"t{n}": 30_000 for n in range(5)} | {"huge": smart_tools.MAX_DESCRIPTION, "small": 10}
    listed = of_connection(
        "conn_w", "tool",
        [Raw(json.dumps({"name": name, "inputSchema": {"title": "x" * size}}).encode())
         for name, size in sizes.items()],
    )  # fmt: skip
    seen: list[str] = []
    asks = [*sizes, "none"]
    for turn in range(3):
        found = smart_tools.answered(
            smart_tools.DESCRIBE, json.dumps({"tools": asks}).encode(), listed,
            lambda _query, _limit: [], {"conn_w": "weather"}.__getitem__,
        )  # fmt: skip
        whole = json.loads(found)["content"][0]["text"]
        assert len(whole) < smart_tools.MAX_DESCRIPTION + 1000
        said = json.loads(whole)
        for tool in said["tools"]:
            assert tool["inputSchema"] == {"title": "x" * sizes[tool["name"]]}
            seen.append(tool["name"])
        assert said.get("tooLarge") == (["huge"] if turn == 0 else None)
        assert said["notFound"] == (["none"] if turn == 0 else [])
        asks = said.get("leftOut", [])
        assert ("ask again for those in leftOut" in said.get("note", "")) is bool(asks)
    assert (asks, sorted(seen)) == ([], sorted(set(sizes) - {"huge"}))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        (smart_tools.SEARCH, {}),
        (smart_tools.SEARCH, {"query": ""}),
        (smart_tools.SEARCH, {"query": "a", "limit": 0}),
        (smart_tools.SEARCH, {"query": "a", "limit": 101}),
        (smart_tools.SEARCH, {"query": "a" * 1001}),
        (smart_tools.SEARCH, {"query": "a", "more": 1}),
        (smart_tools.DESCRIBE, {"tools": []}),
        (smart_tools.DESCRIBE, {"tools": "rain"}),
        (smart_tools.DESCRIBE, {"tools": ["a"] * 101}),
        (smart_tools.DESCRIBE, {"tools": ["a" * 257]}),
    ],
)
def test_arguments_that_are_not_valid_are_refused(name: str, arguments: Any) -> None:
    with pytest.raises(BadMessage):
        asked(name, arguments)


@pytest.mark.parametrize(
    "arguments",
    [b"", b"{}", b'{"name":1}', b'{"name":"a","arguments":[]}', b'{"name":"a","name":"b"}',
     b'{"name":"a","Name":"b"}', b'{"name":"a","arguments":{},"arguments":{"x":1}}'],
)  # fmt: skip
def test_a_call_says_once_and_clearly_what_to_call(arguments: bytes) -> None:
    """What is decided about is what is called."""
    with pytest.raises(BadMessage):
        smart_tools.inner_call(arguments)


def test_the_inner_arguments_keep_their_bytes() -> None:
    found = smart_tools.inner_call(b'{"name": "rain", "arguments": {"n": 1.00, "n": 2}}')
    assert (found.name, bytes(found.arguments)) == ("rain", b'{"n": 1.00, "n": 2}')
    assert bytes(smart_tools.inner_call(b'{"name":"rain"}').arguments) == b"{}"


def test_what_is_listed_does_not_grow_with_the_tools() -> None:
    few, many = smart_tools.entries(3), smart_tools.entries(3000)
    assert [json.loads(entry)["name"] for entry in many] == [
        "GATEWAY_SEARCH_TOOLS", "GATEWAY_DESCRIBE_TOOLS", "GATEWAY_CALL_TOOL",
    ]  # fmt: skip
    assert len(b"".join(many)) - len(b"".join(few)) == 3

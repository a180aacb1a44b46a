"""Tool lists as upstreams send them: what is a tool, and what it says of itself."""

import json

import msgspec
import pytest

from meshd.services.definitions import MAX_TOOLS, from_entries, from_stored, read_tool


def entry(name: object, **more: object) -> bytes:
    return json.dumps({"name": name, "inputSchema": {"type": "object"}, **more}).encode()


@pytest.mark.parametrize(
    ("annotations", "read_only", "destructive"),
    [
        (None, False, False),
        ({}, False, False),
        ({"readOnlyHint": True}, True, False),
        ({"readOnlyHint": False}, False, False),
        ({"destructiveHint": True}, False, True),
        ({"readOnlyHint": True, "destructiveHint": True}, True, False),
        ({"destructiveHint": False, "title": "T"}, False, False),
    ],
    ids=str,
)
def test_what_annotations_say(annotations, read_only: bool, destructive: bool) -> None:
    """A tool that says nothing is not read-only."""
    tool = read_tool(entry("a", annotations=annotations))
    assert (tool.read_only, tool.destructive) == (read_only, destructive)


@pytest.mark.parametrize(
    "bad",
    [b"{}", b"null", b"5", b"[]", entry(5), entry(None), entry("a", annotations=5), entry("a", description=[]),
     entry("a", annotations={"readOnlyHint": "yes"})],
)  # fmt: skip
def test_an_entry_that_is_no_tool_is_left_out(bad: bytes) -> None:
    listed = from_entries([entry("a"), bad, entry("b")], 5)
    assert list(listed.tools) == ["a", "b"]
    assert [
        read_tool(raw).name for raw in msgspec.json.decode(listed.raw, type=list[msgspec.Raw])
    ] == ["a", "b"]


def test_a_name_counts_once() -> None:
    """A later twin could say that it is read-only."""
    listed = from_entries([entry("a"), entry("a", annotations={"readOnlyHint": True})], 5)
    assert (len(listed.tools), listed.tools["a"].read_only) == (1, False)


def test_a_list_is_bounded() -> None:
    listed = from_entries((entry(f"t{n}") for n in range(MAX_TOOLS + 5)), 5)
    assert len(listed.tools) == MAX_TOOLS


def test_what_is_stored_comes_back_with_every_member() -> None:
    raw = entry("a", extra={"kept": [1.0]}, annotations={"destructiveHint": True})
    listed = from_entries([raw, entry("b")], 7)
    again = from_stored(listed.raw, 7)
    assert again == listed
    assert json.loads(listed.raw)[0] == json.loads(raw)
    assert listed.destructive == 1
    assert listed.total_tokens == sum(listed.tokens.values()) > 0
    assert listed.tokens["a"] == -(-len(raw) // 4)

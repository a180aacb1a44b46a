"""Two parsers must never read two different tools out of one message."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.protocol.jsonrpc import BadMessage
from meshd.protocol.strict import check_members

DECIDING = frozenset({"name", "arguments"})
NAMES = st.sampled_from(["name", "arguments", "a", "é", 'q"', "\\", "n\u0061me2"])
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b" { } ",
        b'{"name":"a","arguments":{"x":1,"x":2}}',
        b'{ "name" : "a\\"b" , "n\\u0061me2":[1,{"a":"}"}], "z":null }',
        b'{"a":1,"b":"\\\\"}',
        '{"é":1,"name":2}'.encode(),
    ],
)
def test_clear_objects_pass(raw: bytes) -> None:
    """Odd spacing and escapes are fine, and so is what stands inside of values."""
    check_members(raw, DECIDING)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"name":"a","name":"b"}',
        b'{"name":"a","name":"a"}',
        b'{"name":"a","x":1,"n\\u0061me":"b"}',
        b'{"a":1,"b":2,"a":1}',
        b'{"Name":"a"}',
        b'{"name":"a","NAME":"b"}',
        '{"argument\u017f":1}'.encode(),
        b"[]",
        b'"name"',
    ],
)
def test_what_parsers_read_differently_is_refused(raw: bytes) -> None:
    """Repeated members, also spelt with escapes, and members that differ in case alone."""
    with pytest.raises(BadMessage):
        check_members(raw, DECIDING)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=5), st.sampled_from([", ", ",", " ,\n\t"]))
def test_exactly_repetitions_are_refused(members: list[tuple[str, object]], comma: str) -> None:
    """An object made of any members passes if, and only if, their names are all different."""
    inner = comma.join(f"{json.dumps(name)} : {json.dumps(value)}" for name, value in members)
    raw = ("{" + inner + "}").encode()
    if len({name for name, _ in members}) == len(members):
        check_members(raw, DECIDING)
    else:
        with pytest.raises(BadMessage):
            check_members(raw, DECIDING)

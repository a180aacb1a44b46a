"""What a definition's fingerprint depends on, and what it does not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.services.fingerprint import fingerprint

BASE = b'{"name":"a","n":1,"inputSchema":{"type":"object","x":[1,2]}}'
SAME = [
    b'{ "inputSchema": {"x": [1, 2], "type":"object"},\n"n":1,"name":"a"}',
    b'{"name":"\\u0061","n":1,"inputSchema":{"type":"object","x":[1,2]}}',
]
OTHER = [
    b'{"name":"a","n":1,"inputSchema":{"type":"object","x":[2,1]}}',
    b'{"name":"a","n":1.0,"inputSchema":{"type":"object","x":[1,2]}}',
    b'{"name":"a","n":"1","inputSchema":{"type":"object","x":[1,2]}}',
    b'{"name":"a","n":1,"inputSchema":{"type":"object","x":[1,2]},"_meta":{}}',
    b'{"name":"a","name":"a","n":1,"inputSchema":{"type":"object","x":[1,2]}}',
    b'{"name":"a\\u200b","n":1,"inputSchema":{"type":"object","x":[1,2]}}',
    BASE + b"\xff",
]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("definition", SAME)
def test_how_it_is_written_does_not_matter(definition: bytes) -> None:
    assert fingerprint(definition) == fingerprint(BASE)


@pytest.mark.parametrize("definition", OTHER)
def test_what_it_says_does(definition: bytes) -> None:
    """To the text of a number, and to a member that readers could take either way."""
    assert fingerprint(definition) != fingerprint(BASE)


def test_members_that_are_there_twice_keep_their_order() -> None:
    """One reader takes the first, another the last: either is another tool."""
    assert fingerprint(b'{"a":1,"a":2}') != fingerprint(b'{"a":2,"a":1}')


def test_an_object_is_no_list_of_its_members() -> None:
    """The form that is hashed cannot be written down by a server."""
    assert fingerprint(b'{"a":1}') != fingerprint(b'{"members":[["a",{"number":"1"}]]}')


def test_what_cannot_be_read_has_one_all_the_same() -> None:
    deep = b"[" * 100_000
    assert fingerprint(deep) == fingerprint(deep) != fingerprint(deep + b"[")


@given(values, values)
def test_two_are_the_same_only_if_they_mean_the_same(one: Any, other: Any) -> None:
    def backwards(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: backwards(held) for name, held in reversed(value.items())}
        return [backwards(held) for held in value] if isinstance(value, list) else value

    def of(value: Any, **how: Any) -> str:
        return fingerprint(json.dumps(value, **how).encode())

    assert of(one) == of(backwards(one), indent=2, ensure_ascii=False)
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (of(one) == of(other)) is same

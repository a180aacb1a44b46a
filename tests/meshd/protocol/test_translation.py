"""One era's answers in the other's words, and nothing else of them changed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.protocol import translation
from meshd.protocol.input_required import (
    Question,
    asking,
    digest,
    may_ask,
    read,
    repeated,
    with_state,
)
from meshd.protocol.members import members, raw
from meshd.protocol.subscriptions import (
    acknowledgement,
    labelled,
    offered,
    read_filter,
    subscription_of,
    unlabelled,
)

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
STAMPS = {"resultType", "ttlMs", "cacheScope"}


@given(st.dictionaries(st.text(max_size=8).filter(lambda n: n not in STAMPS), ANY, max_size=5))
def test_there_and_back(result: dict[str, Any]) -> None:
    """A handshake result that is stamped and bared again is the one that it was."""
    before = json.dumps(result).encode()
    stamped = translation.stateless_result("prompts/list", before)
    assert json.loads(stamped) == result | {
        "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
    }  # fmt: skip
    assert json.loads(translation.handshake_result("prompts/list", stamped)) == result


def test_numbers_keep_their_spelling() -> None:
    """Values are carried, not read."""
    stamped = translation.stateless_result("tools/call", b'{"structuredContent":{"n":1.000e3}}')
    assert b"1.000e3" in stamped
    assert json.loads(stamped)["resultType"] == "complete"


def test_what_handshake_clients_cannot_take() -> None:
    """A structured result that is no object, and the schema of one."""
    called = b'{"resultType":"complete","structuredContent":[1],"content":[]}'
    assert json.loads(translation.handshake_result("tools/call", called)) == {"content": []}
    listed = {"tools": [
        {"name": "a", "outputSchema": {"type": "array"}},
        {"name": "b", "outputSchema": {"type": "object"}},
    ]}  # fmt: skip
    kept = json.loads(translation.handshake_result("tools/list", json.dumps(listed).encode()))
    assert ["outputSchema" in tool for tool in kept["tools"]] == [False, True]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"cacheScope":"public","ttlMs":5}', {"cacheScope": "private", "ttlMs": 5}),
        (b'{"cacheScope":"private"}', {"cacheScope": "private"}),
        (b'{"ttlMs":5}', {"ttlMs": 5}),
    ],
)
def test_nobody_else_may_keep_it(before: bytes, after: dict[str, Any]) -> None:
    """What a key may see is for that key."""
    assert json.loads(translation.private_result(before)) == after


def test_introductions() -> None:
    """`initialize` and `server/discover` say the same in two ways; foreign extensions stay out."""
    welcome = {
        "protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "tasks": {}},
        "serverInfo": {"name": "s", "version": "1"}, "instructions": "be kind",
    }  # fmt: skip
    said = translation.discovery(json.dumps(welcome).encode())
    assert translation.speaks_ours(said)
    assert json.loads(said)["capabilities"] == {"tools": {}}
    back = json.loads(translation.welcome(said, "2025-11-25"))
    assert back == welcome | {"capabilities": {"tools": {}}}
    own = b'{"supportedVersions":["2026-07-28"],"capabilities":{"extensions":{"x":{}}},"new":1.0}'
    served = translation.served_discovery(own)
    assert json.loads(served)["capabilities"] == {}
    assert b'"new":1.0' in served
    assert not translation.speaks_ours(b'{"supportedVersions":["2025-11-25"]}')
    assert not translation.speaks_ours(b"7")


@pytest.mark.parametrize(
    ("error", "code"),
    [(b'{"code":-32002,"message":"m"}', -32602), (b'{"code":-1}', -1), (b"null", None)],
)
def test_codes_for_the_stateless_era(error: bytes, code: int | None) -> None:
    """A resource that is not there."""
    assert translation.code_of(translation.stateless_error(error)) == code


@pytest.mark.parametrize(
    ("method", "error", "code"),
    [
        ("resources/read", b'{"code":-32602,"data":{"uri":"x:"}}', -32002),
        ("resources/read", b'{"code":-32602}', -32602),
        ("tools/call", b'{"code":-32602,"data":{"uri":"x:"}}', -32602),
        ("tools/call", b'{"code":-32021}', -32600),
    ],
)
def test_codes_for_the_handshake_era(method: str, error: bytes, code: int) -> None:
    """None by which a client would take us for a server of the other era."""
    assert translation.code_of(translation.handshake_error(method, error)) == code


def test_what_a_result_asks_for() -> None:
    """Questions by name, with their params raw, and the state as it came."""
    questions = {
        "a": Question("roots/list", b""),
        "b": Question("elicitation/create", b'{"n":1.0}'),
    }
    result = asking(questions, "s")
    needed = read(result)
    assert needed is not None
    assert needed.questions == questions
    assert bytes(needed.state or b"") == b'"s"'
    assert read(b'{"resultType":"complete","inputRequests":{}}') is None
    assert json.loads(with_state(result, "t"))["requestState"] == "t"
    again = repeated({"name": raw("x")}, {"a": raw({"roots": []})}, {}, needed.state)
    assert {k: json.loads(bytes(v)) for k, v in again.items()} == {
        "name": "x", "inputResponses": {"a": {"roots": []}}, "requestState": "s",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "params", "capabilities", "may"),
    [
        ("roots/list", b"", b'{"roots":{}}', True),
        ("roots/list", b"", b'{"sampling":{}}', False),
        ("elicitation/create", b"{}", b'{"elicitation":{}}', True),
        ("elicitation/create", b'{"mode":"url"}', b'{"elicitation":{}}', False),
        ("elicitation/create", b'{"mode":"url"}', b'{"elicitation":{"url":{}}}', True),
        ("elicitation/create", b'{"mode":"form"}', b'{"elicitation":{"url":{}}}', False),
        ("ping", b"", b'{"roots":{}}', False),
    ],
)
def test_whom_a_server_may_ask(method: str, params: bytes, capabilities: bytes, may: bool) -> None:
    """Only who declared it."""
    assert may_ask(Question(method, params), capabilities) == may


def test_a_request_is_known_again() -> None:
    """However it is spelt; never for another one."""
    first = members(b'{"name":"x","arguments":{"a":1,"b":2},"_meta":{"progressToken":1}}')
    again = members(b'{"arguments": {"b":2,"a":1}, "name":"x","requestState":"s"}')
    other = members(b'{"name":"x","arguments":{"a":1,"b":3}}')
    assert digest("tools/call", first) == digest("tools/call", again)
    assert digest("tools/call", first) != digest("tools/call", other)
    assert digest("tools/call", first) != digest("prompts/get", first)


def test_subscriptions() -> None:
    """What is honoured is what was asked for and can be told; every message bears the label."""
    asked = members(
        b'{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["x:"]}'
    )
    honoured = offered(read_filter(asked), b'{"tools":{"listChanged":true},"resources":{}}')
    assert honoured.as_members() == {"toolsListChanged": raw(True)}
    told = labelled(acknowledgement(honoured), b'"seven"')
    found = members(told)
    assert subscription_of(found["params"]) == b'"seven"'
    assert json.loads(bytes(found["params"]))["notifications"] == {"toolsListChanged": True}
    plain = b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
    assert unlabelled(labelled(plain, b"7")) == plain

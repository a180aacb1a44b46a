"""Envelopes: what is a message, what is none, and why."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.protocol import jsonrpc
from meshd.protocol.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    MAX_DEPTH,
    PARSE_ERROR,
    BadMessage,
    check_depth,
    parse,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)


def message(**members: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **members}).encode()


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (message(id=1, method="ping"), "request"),
        (message(id="x", method="tools/call", params={"name": "a"}), "request"),
        (message(id=-1.5, method="ping"), "request"),
        (message(method="notifications/initialized"), "notification"),
        (message(id=1, result={}), "response"),
        (message(id=1, error={"code": 1, "message": ""}), "response"),
        (message(id=None, error={}), "response"),
        (message(id=1, method="ping", extra={"kept": True}), "request"),
        (b" \n" + message(id=1, method="ping") + b"\r\n", "request"),
    ],
)
def test_what_is_a_message(raw: bytes, kind: str) -> None:
    found = parse(raw)
    assert found.is_request == (kind == "request")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", PARSE_ERROR),
        (b"{", PARSE_ERROR),
        (b"ping", PARSE_ERROR),
        (message(id=1, method="ping")[:-1], PARSE_ERROR),
        (message(id=1, method="ping") + b"x", PARSE_ERROR),
        (b'{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":NaN}}', PARSE_ERROR),
        (b'{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":"\xff"}}', PARSE_ERROR),
        (b'{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":"\x01"}}', PARSE_ERROR),
        (b"\xef\xbb\xbf" + message(id=1, method="ping"), PARSE_ERROR),
        (b"null", INVALID_REQUEST),
        (b"[" + message(id=1, method="ping") + b"]", INVALID_REQUEST),
        (json.dumps({"id": 1, "method": "ping"}).encode(), INVALID_REQUEST),
        (message(id=1, method="ping").replace(b"2.0", b"1.0"), INVALID_REQUEST),
        (message(id=1, method=5), INVALID_REQUEST),
        (message(id=None, method="ping"), INVALID_REQUEST),
        (message(id=True, method="ping"), INVALID_REQUEST),
        (message(id=[1], method="ping"), INVALID_REQUEST),
        (message(id={}, result={}), INVALID_REQUEST),
        (message(), INVALID_REQUEST),
        (message(id=1), INVALID_REQUEST),
        (message(result={}), INVALID_REQUEST),
    ],
)
def test_what_is_none(raw: bytes, code: int) -> None:
    with pytest.raises(BadMessage) as refused:
        parse(raw)
    assert refused.value.code == code


@pytest.mark.parametrize("method", ["tools/call", "ping", "notification", "NOTIFICATIONS/x", "a"])
def test_a_request_without_an_id_is_no_notification(method: str) -> None:
    """It would be passed on without a decision, and a lenient server would run it."""
    with pytest.raises(BadMessage, match="needs an") as refused:
        parse(message(method=method, params={"name": "forbidden"}))
    assert refused.value.code == INVALID_REQUEST


def test_members_keep_their_bytes() -> None:
    """Numbers, escapes and white space of a payload are nobody's to change."""
    raw = b'{"jsonrpc":"2.0","id":1e2,"method":"a","params":{ "n" : 1.00e+2, "u":"\\u0041" }}'
    found = parse(raw)
    assert bytes(found.params) == b'{ "n" : 1.00e+2, "u":"\\u0041" }'
    assert bytes(found.id) == b"1e2"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_depth_is_counted_from_the_envelope_on(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    for depth, fits in ((MAX_DEPTH - 1, True), (MAX_DEPTH, False), (100_000, False)):
        inner = opening * depth + b"1" + closing * depth
        raw = b'{"jsonrpc":"2.0","id":1,"method":"a","params":' + inner + b"}"
        if fits:
            parse(raw)
        else:
            with pytest.raises(BadMessage, match="deeper"):
                parse(raw)


@pytest.mark.parametrize("text", ["[" * 200, "{" * 200, '\\"[' * 200, "\\\\", '"' * 9 + "[" * 90])
def test_brackets_inside_strings_do_not_nest(text: str) -> None:
    check_depth(json.dumps({"a": text, "b": [1]}).encode())


@given(JSON, st.integers(0, MAX_DEPTH + 3))
def test_depth_agrees_with_a_real_parser(value: object, wrapped: int) -> None:
    def depth(item: object) -> int:
        inner = item.values() if isinstance(item, dict) else item
        return 1 + max(map(depth, inner), default=0) if isinstance(item, list | dict) else 0

    for _ in range(wrapped):
        value = [value]
    raw = json.dumps(value).encode()
    try:
        check_depth(raw)
    except BadMessage:
        assert depth(value) > MAX_DEPTH
    else:
        assert depth(value) <= MAX_DEPTH


def test_a_long_string_takes_no_memory_to_check() -> None:
    """A body of 4 MB must not cost hundreds."""
    import tracemalloc

    raw = b'{"a":"' + b"\\n" * 500_000 + b'","b":' + b"[" * 70 + b"]" * 70 + b"}"
    tracemalloc.start()
    try:
        with pytest.raises(BadMessage):
            check_depth(raw)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(raw)
    finally:
        tracemalloc.stop()


def test_the_deciding_members_of_params() -> None:
    found = jsonrpc.named(msgspec.Raw(b'{"name":"a","arguments":{"x":1},"more":2}'))
    assert (found.name, found.uri, bytes(found.arguments)) == ("a", "", b'{"x":1}')
    assert jsonrpc.named(msgspec.Raw(b"")).name == ""
    assert bytes(jsonrpc.completed(msgspec.Raw(b'{"ref":{"name":"p"}}'))) == b'{"name":"p"}'
    for raw in (b"[]", b'"x"', b'{"name":5}', b'{"name":null}'):
        with pytest.raises(BadMessage) as refused:
            jsonrpc.named(msgspec.Raw(raw))
        assert refused.value.code == INVALID_PARAMS
    with pytest.raises(BadMessage):
        jsonrpc.completed(msgspec.Raw(b"[]"))


@given(st.integers(0), st.text(min_size=1), JSON)
def test_what_we_write_is_read_back(ident: int, method: str, payload: object) -> None:
    body = msgspec.json.encode(payload)
    asked = parse(jsonrpc.request(ident, method, body))
    assert (asked.method, json.loads(bytes(asked.id)), json.loads(bytes(asked.params))) == (
        method, ident, json.loads(body),
    )  # fmt: skip
    told = parse(jsonrpc.notification(f"notifications/{method}", body))
    assert not told.is_request
    done = parse(jsonrpc.success(b'"x"', body))
    assert json.loads(bytes(done.result)) == json.loads(body)
    failed = parse(jsonrpc.failure(b"", jsonrpc.error_object(-1, method, {"why": "x"})))
    assert json.loads(bytes(failed.error)) == {"code": -1, "message": method, "data": {"why": "x"}}

"""The stateless era's envelope: what is taken out, what is refused, and what goes on."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from meshd.protocol import envelope, jsonrpc
from meshd.protocol.envelope import Refused, bare, enveloped, headers_for, opened

VERSION = "2026-07-28"
META = {envelope.VERSION: VERSION, envelope.CAPABILITIES: {"elicitation": {}, "x": 1}}
HEADERS = {
    "MCP-Protocol-Version": [VERSION], "Mcp-Method": ["tools/call"], "Mcp-Name": ["echo"],
}  # fmt: skip


def message(method: str = "tools/call", **params: Any) -> jsonrpc.Message:
    """A request with an envelope, unless `_meta` is given."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": META, **params}}
    return jsonrpc.parse(json.dumps(body).encode())


def take(said: jsonrpc.Message, **changed: list[str]) -> envelope.Envelope:
    """Open it with right headers, but for those that are changed."""
    headers = HEADERS | {name.replace("_", "-"): value for name, value in changed.items()}
    return opened(said, lambda name: headers.get(name, []))


def test_what_a_request_says_of_itself() -> None:
    """The envelope's fields leave `_meta`, other members stay; of capabilities those we relay."""
    meta = META | {envelope.LOG_LEVEL: "info", envelope.CLIENT: {"name": "c"}, "progressToken": 7}
    found = take(message(name="echo", arguments={"a": 1.0}, _meta=meta))
    assert (found.version, found.log_level) == (VERSION, "info")
    assert json.loads(found.capabilities) == {"elicitation": {}}
    assert bytes(found.params["arguments"]) == b'{"a": 1.0}'
    assert json.loads(bytes(found.params["_meta"])) == {"progressToken": 7}


@pytest.mark.parametrize(
    ("params", "headers", "code"),
    [
        ({"_meta": {}}, {}, jsonrpc.INVALID_PARAMS),
        ({"_meta": 7}, {}, jsonrpc.INVALID_REQUEST),
        ({"_meta": {envelope.VERSION: VERSION}}, {}, jsonrpc.INVALID_PARAMS),
        ({"_meta": META | {envelope.VERSION: 7}}, {}, jsonrpc.INVALID_PARAMS),
        ({"_meta": META | {envelope.CAPABILITIES: []}}, {}, jsonrpc.INVALID_PARAMS),
        ({}, {"MCP_Protocol_Version": ["2025-11-25"]}, -32020),
        ({}, {"Mcp_Method": ["tools/list"]}, -32020),
        ({}, {"Mcp_Method": []}, -32020),
        ({}, {"Mcp_Method": ["tools/call", "tools/call"]}, -32020),
        ({}, {"Mcp_Name": ["other"]}, -32020),
        ({}, {"Mcp_Name": ["=?base64?!!?="]}, -32020),
        ({"name": None}, {}, -32020),
        ({"_meta": META | {envelope.VERSION: "2099-01-01"}}, {}, -32020),
        (
            {"_meta": META | {envelope.VERSION: "2099-01-01"}},
            {"MCP_Protocol_Version": ["2099-01-01"]},
            -32022,
        ),
    ],
)
def test_the_ladder(params: dict[str, Any], headers: dict[str, list[str]], code: int) -> None:
    """The first rule that is broken decides."""
    with pytest.raises(jsonrpc.BadMessage) as caught:
        take(message(**{"name": "echo", **params}), **headers)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("declared", "relayed"),
    [
        ({}, {}),
        ({"elicitation": {"form": {}, "url": {"x": 1}, "other": {}}}, {"form": {}, "url": {}}),
        ({"elicitation": {}, "tasks": {}}, {}),
        ({"elicitation": 7}, {}),
    ],
)
def test_capabilities_in_one_spelling(declared: Any, relayed: Any) -> None:
    """Only what can be asked through us, and of that only what is known."""
    kept = json.loads(envelope.relayed(json.dumps(declared).encode()))
    assert kept == ({"elicitation": relayed} if "elicitation" in declared else {})


def test_a_log_level_that_is_none() -> None:
    with pytest.raises(Refused, match="log level"):
        take(message(name="echo", _meta=META | {envelope.LOG_LEVEL: "loud"}))


def test_an_unknown_version_is_told_the_known_ones() -> None:
    """So that a client can pick another."""
    with pytest.raises(Refused) as caught:
        envelope.check_version("2099-01-01")
    assert caught.value.data == {"supported": [VERSION], "requested": "2099-01-01"}


@pytest.mark.parametrize("method", sorted(envelope.REMOVED))
def test_what_the_era_has_no_more(method: str) -> None:
    """Unknown methods, which over HTTP are 404."""
    with pytest.raises(Refused) as caught:
        take(message(method), Mcp_Method=[method])
    assert envelope.STATUS[caught.value.code] == 404


def test_a_repeated_member_of_the_envelope() -> None:
    """Two readers could take another one each."""
    body = (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":'
        b'{"%(v)s":"2026-07-28","%(v)s":"2026-07-28","%(c)s":{}}}}'
        % {b"v": envelope.VERSION.encode(), b"c": envelope.CAPABILITIES.encode()}
    )
    with pytest.raises(jsonrpc.BadMessage, match="repeated"):
        take(jsonrpc.parse(body))


NAMES = st.text(max_size=8).filter(lambda name: name != "_meta")


@given(st.dictionaries(NAMES, st.integers() | st.text(), max_size=4), st.text(max_size=5))
def test_what_goes_in_comes_out(own: dict[str, Any], token: str) -> None:
    """An envelope put around params and taken off again leaves them as they were."""
    params = {**{k: Raw(json.dumps(v).encode()) for k, v in own.items()}}
    params["_meta"] = Raw(json.dumps({"progressToken": token}).encode())
    wrapped = enveloped(params, {"name": "meshctl", "version": "1"}, b'{"roots":{}}', "info")
    inside = json.loads(wrapped)["_meta"]
    assert inside[envelope.VERSION] == VERSION
    assert inside[envelope.CAPABILITIES] == {"roots": {}}
    assert inside["progressToken"] == token
    assert json.loads(json.dumps({k: json.loads(bytes(v)) for k, v in bare(wrapped).items()})) == {
        **own, "_meta": {"progressToken": token},
    }  # fmt: skip


def test_headers_repeat_what_the_body_says() -> None:
    """Names that no header can hold go in base64."""
    assert headers_for("tools/call", {"name": Raw(b'"echo"')}) == {
        "Mcp-Method": "tools/call", "Mcp-Name": "echo",
    }  # fmt: skip
    assert headers_for("prompts/get", {"name": Raw('"größe"'.encode())})["Mcp-Name"].startswith(
        "=?base64?"
    )
    assert headers_for("tools/list", {"name": Raw(b'"echo"')}) == {"Mcp-Method": "tools/list"}

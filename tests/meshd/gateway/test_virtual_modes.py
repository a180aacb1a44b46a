"""Three tools in the place of many, where a virtual MCP or a request asks for that."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import virtuals
from tests.support.daemon import Daemon
from tests.support.upstream import Upstream, upstream
from tests.support.virtuals import ERAS, HANDSHAKE, ask, call, listed

SMART = "?mode=smart_tool_selection"
THREE = ["GATEWAY_SEARCH_TOOLS", "GATEWAY_DESCRIBE_TOOLS", "GATEWAY_CALL_TOOL"]


@pytest.fixture(scope="module")
def north() -> Iterator[Upstream]:
    with upstream() as running:
        running.replies = virtuals.full_replies("north")
        yield running


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon, north: Upstream) -> str:
    """A key for everything; `smart` is in that mode, `usual` in the other."""
    shared_daemon.connect_http("north", north.url)
    virtuals.make(shared_daemon, "smart", "north", mode="smart_tool_selection")
    virtuals.make(shared_daemon, "usual", "north")
    return shared_daemon.add_key("everything")


def said(answer: dict[str, Any]) -> Any:
    """The JSON in the text of a result."""
    return json.loads(answer["result"]["content"][0]["text"])


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("path", ["/smart", f"/usual{SMART}", SMART])
def test_three_tools_find_describe_and_call_all_others(
    shared_daemon: Daemon, key: str, north: Upstream, era: str, path: str
) -> None:
    """And nothing else is called by its own name."""
    assert listed(shared_daemon, path, key=key, era=era) == THREE
    found = said(call(shared_daemon, path, THREE[0], {"query": "look"}, key=key, era=era))
    assert found["results"][0] == {
        "name": "north_look", "description": "Does look.", "connection": "north",
    }  # fmt: skip
    assert found["totalAvailable"] == 2
    asked = {"tools": ["north_look", "north_none"]}
    found = said(call(shared_daemon, path, THREE[1], asked, key=key, era=era))
    assert found["tools"][0]["inputSchema"] == {"type": "object"}
    assert found["notFound"] == ["north_none"]
    inner = {"name": "north_look", "arguments": {"n": 1}}
    answer = call(shared_daemon, path, THREE[2], inner, key=key, era=era)
    assert answer["result"]["content"][0]["text"] == "of north"
    assert north.of("tools/call")[-1].message["params"]["arguments"] == {"n": 1}
    assert "error" in call(shared_daemon, path, "north_look", key=key, era=era)
    none = {"name": "north_none"}
    assert "error" in call(shared_daemon, path, THREE[2], none, key=key, era=era)


def test_a_request_may_ask_for_the_whole_list(shared_daemon: Daemon, key: str) -> None:
    assert listed(shared_daemon, "/smart?mode=passthrough", key=key) == [
        "north_look", "north_change",
    ]  # fmt: skip


@pytest.mark.parametrize("era", ERAS)
def test_only_what_may_be_called_is_found_described_and_called(
    shared_daemon: Daemon, key: str, era: str
) -> None:
    """A call is refused and recorded as if it had been made by its own name."""
    narrow = shared_daemon.add_key(f"narrow-{era}", "north/look")
    found = said(call(shared_daemon, "/smart", THREE[0], {"query": "n"}, key=narrow, era=era))
    assert found["totalAvailable"] == 1
    asked = {"tools": ["north_change"]}
    found = said(call(shared_daemon, "/smart", THREE[1], asked, key=narrow, era=era))
    assert (found["tools"], found["notFound"]) == ([], ["north_change"])
    answer = call(shared_daemon, "/smart", THREE[2], {"name": "north_change"}, key=narrow, era=era)
    assert answer["result"]["_meta"]["meshctl/denied"]["next"].endswith("smart/north_change")
    (last,) = shared_daemon.control("GET", "/v1/calls?limit=1")
    assert (last["connection"], last["tool"], last["ok"]) == ("north", "change", False)


@pytest.mark.parametrize(
    ("mode", "says"), [("wild", "there is no mode"), ("code_execution", "sandbox"), ("", "no mode")]
)
def test_other_modes_are_refused(shared_daemon: Daemon, key: str, mode: str, says: str) -> None:
    """With those that there are."""
    answer = ask(shared_daemon, f"/usual?mode={mode}", "tools/list", key=key)
    assert answer.status == 400
    error = answer.json()["error"]
    assert says in error["message"]
    assert error["data"]["modes"] == "passthrough smart_tool_selection"


def test_a_session_keeps_the_mode_that_it_was_begun_in(shared_daemon: Daemon, key: str) -> None:
    """Whatever the URL of a later request says, and whatever the virtual MCP is set to."""
    asked = {"protocolVersion": "2025-11-25", "capabilities": {}}
    begun = ask(shared_daemon, f"/usual{SMART}", "initialize", asked, key=key)
    session = begun.headers["mcp-session-id"]
    for path in ("/usual", "/usual?mode=passthrough"):
        found = ask(
            shared_daemon, path, "tools/list", key=key, era=HANDSHAKE, Mcp_Session_Id=session
        )
        assert [tool["name"] for tool in found.json()["result"]["tools"]] == THREE


@pytest.mark.parametrize(
    "arguments", [b'{"name":"north_look","name":"north_change"}', b'{"name":3}', b"[]"]
)
def test_what_is_to_be_called_is_said_once(
    shared_daemon: Daemon, key: str, arguments: bytes
) -> None:
    """Or else what was decided about would not be what is called."""
    body = (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
        b'{"name":"GATEWAY_CALL_TOOL","arguments":' + arguments + b"}}"
    )
    answer = shared_daemon.tcp("POST", "/mcp/smart", body, key=key)
    assert answer.status == 400

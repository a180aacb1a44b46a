"""What a key is granted is what it sees and may call; everything else says how to change that."""

from typing import Any

import pytest

from tests.support import stdio_server
from tests.support.daemon import Daemon


@pytest.fixture(scope="module")
def narrow(shared_daemon: Daemon) -> str:
    """A key for one tool of one connection; two more connections are there."""
    shared_daemon.connect("granted", *stdio_server.command())
    shared_daemon.connect("stand-in", *stdio_server.command())
    shared_daemon.connect("off", *stdio_server.command())
    shared_daemon.control("POST", "/v1/connections/off/disable")
    return shared_daemon.add_key("narrow", "granted/echo", "off")


def denied(answer: dict[str, Any]) -> dict[str, str]:
    """What a denied result says of itself."""
    assert answer["isError"] is True
    found = answer["_meta"]["meshctl/denied"]
    assert found["rule"] in answer["content"][0]["text"]
    assert found["next"] in answer["content"][0]["text"]
    return dict(found)


def test_the_list_and_the_calls_are_exactly_what_is_granted(
    shared_daemon: Daemon, narrow: str
) -> None:
    """One tool of many is listed and called; the denial of another names the rule."""
    listed = shared_daemon.rpc("granted", "tools/list", key=narrow).json()["result"]["tools"]
    assert [tool["name"] for tool in listed] == ["echo"]
    params: dict[str, Any] = {"name": "echo", "arguments": {}}
    answer = shared_daemon.rpc("granted", "tools/call", params, key=narrow).json()
    assert "isError" not in answer["result"]
    answer = shared_daemon.rpc(
        "granted", "tools/call", params | {"name": "fail"}, key=narrow
    ).json()
    said = denied(answer["result"])
    assert said["rule"] == "no grant of narrow covers tool fail"


def test_the_command_in_a_denial_is_the_one_that_helps(shared_daemon: Daemon, narrow: str) -> None:
    """Doing what the denial says makes the same call succeed."""
    secret = shared_daemon.add_key("helped", "stand-in/echo")
    params = {"name": "write", "arguments": {}}
    answer = shared_daemon.rpc("stand-in", "tools/call", params, key=secret)
    words = denied(answer.json()["result"])["next"].split()
    assert words[:5] == ["meshctl", "key", "edit", "helped", "--allow"]
    shared_daemon.control("PATCH", "/v1/keys/helped", {"allow": words[5:]})
    answer = shared_daemon.rpc("stand-in", "tools/call", params, key=secret)
    assert "isError" not in answer.json()["result"]


@pytest.mark.parametrize("name", ["write", "ECHO", "echo ", "ech", "", "*"])
def test_nothing_that_only_looks_like_the_grant_passes(
    shared_daemon: Daemon, narrow: str, name: str
) -> None:
    """Names are compared whole and exactly."""
    answer = shared_daemon.rpc("granted", "tools/call", {"name": name, "arguments": {}}, key=narrow)
    assert answer.status == 200
    denied(answer.json()["result"])


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("resources/read", {"uri": "file:///etc/passwd"}),
        ("prompts/get", {"name": "any"}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "any"}}),
        ("something/else", {}),
    ],
)
def test_other_methods_outside_the_grant_are_denied(
    shared_daemon: Daemon, narrow: str, method: str, params: dict[str, Any]
) -> None:
    """A grant on one tool covers no resource, no prompt and no unknown method."""
    error = shared_daemon.rpc("granted", method, params, key=narrow).json()["error"]
    assert error["data"]["meshctl/denied"]["next"].startswith("meshctl key edit narrow --allow ")


@pytest.mark.parametrize("name", ["public", ""])
def test_a_completion_is_for_what_was_decided(shared_daemon: Daemon, name: str) -> None:
    """One that names a prompt and a resource would be decided by one, and answered by the other."""
    shared_daemon.connect(f"prompts-{len(name)}", *stdio_server.command())
    key = shared_daemon.add_key(f"asks-{len(name)}", f"prompts-{len(name)}/prompt:public")
    ref = {"type": "ref/resource", "uri": "db://payroll/{name}", "name": name}
    params = {"ref": ref, "argument": {"name": "name", "value": "a"}}
    found = shared_daemon.rpc(f"prompts-{len(name)}", "completion/complete", params, key=key)
    assert found.json()["error"]["code"] == -32602
    assert "not both" in found.json()["error"]["message"]


def test_a_connection_without_any_grant_is_403_to_every_method(
    shared_daemon: Daemon, narrow: str
) -> None:
    """With the command that would open it."""
    for method in ("initialize", "tools/list", "ping"):
        answer = shared_daemon.rpc("stand-in", method, key=narrow)
        assert answer.status == 403
        found = answer.json()["error"]["data"]
        assert found["next"] == "meshctl key edit narrow --allow stand-in"
    assert shared_daemon.tcp("GET", "/mcp/stand-in", key=narrow).status == 403
    assert shared_daemon.tcp("DELETE", "/mcp/stand-in", key=narrow).status == 403


def test_an_unknown_connection_is_404(shared_daemon: Daemon, narrow: str) -> None:
    """Whatever its name, the answer is byte for byte the same, and no name is repeated."""
    bodies = {
        shared_daemon.rpc(name, "ping", key=narrow).body
        for name in ("nothing", "other", "%2e%2e", "conn_0000000000000000")
    }
    assert len(bodies) == 1
    assert shared_daemon.rpc("nothing", "ping", key=narrow).status == 404


def test_a_disabled_connection_says_so(shared_daemon: Daemon, narrow: str) -> None:
    """Its grant is kept; the answer names the command that switches it on."""
    answer = shared_daemon.rpc("off", "ping", key=narrow)
    assert answer.status == 503
    assert answer.json()["error"]["data"]["next"] == "meshctl connection enable off"


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp/granted",
        "/.well-known/oauth-authorization-server",
        "/mcp/granted/.well-known/openid-configuration",
        "/mcp/.well-known/oauth-protected-resource",
    ],
)
def test_well_known_paths_are_plain_404(shared_daemon: Daemon, narrow: str, path: str) -> None:
    """With and without a key: some clients drop their headers when they find anything there."""
    for key in (None, narrow):
        answer = shared_daemon.tcp("GET", path, key=key)
        assert answer.status == 404
        assert "www-authenticate" not in answer.headers

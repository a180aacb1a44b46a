"""`/mcp/self` for clients of the stateless era, and calls that are withdrawn in both eras."""

import json
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support import stdio_server
from tests.support.daemon import Answer, Daemon
from tests.support.raw_http import request
from tests.support.wait import until

VERSION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "c", "version": "1"},
}


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon) -> str:
    shared_daemon.connect("stand-in", *stdio_server.command())
    return shared_daemon.add_key("every", "self", "stand-in")


def lines(method: str, params: dict[str, Any]) -> dict[str, str]:
    """The headers of a request of this era."""
    named = {"Mcp-Name": params["name"]} if "name" in params else {}
    accept = "application/json, text/event-stream"
    return {"MCP-Protocol-Version": VERSION, "Mcp-Method": method, "Accept": accept, **named}


def body(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 5, "method": method, "params": {"_meta": META, **params}}


def ask(daemon: Daemon, key: str, method: str, **params: Any) -> Answer:
    headers = lines(method, params)
    return daemon.tcp("POST", "/mcp/self", body(method, params), key=key, **headers)


def test_what_is_discovered(shared_daemon: Daemon, key: str) -> None:
    """The same for everybody, so that anybody may keep it."""
    result = ask(shared_daemon, key, "server/discover").json()["result"]
    assert result["supportedVersions"] == [VERSION]
    assert result["capabilities"] == {"tools": {}}
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "meshctl"
    assert (result["resultType"], result["cacheScope"]) == ("complete", "public")
    assert result["ttlMs"] > 0


def test_a_list_is_its_own_callers(shared_daemon: Daemon, key: str) -> None:
    """The same tools as in the other era, for this key alone and not for long."""
    before = shared_daemon.rpc("self", "tools/list", key=key).json()["result"]
    result = ask(shared_daemon, key, "tools/list").json()["result"]
    assert result["tools"] == before["tools"]
    assert (result["resultType"], result["cacheScope"]) == ("complete", "private")
    assert 0 < result["ttlMs"] <= 60_000
    assert before.keys() == {"tools"}
    assert ask(shared_daemon, key, "tools/list", cursor="x").status == 400


def test_a_call_and_a_refused_one(shared_daemon: Daemon, key: str) -> None:
    done = ask(shared_daemon, key, "tools/call", name="STATUS", arguments={}).json()["result"]
    assert done["resultType"] == "complete"
    assert "connections" in json.dumps(done["structuredContent"])
    less = shared_daemon.add_key("less", "self/key.list")
    refused = ask(shared_daemon, less, "tools/call", name="CONNECTION_LIST", arguments={})
    assert refused.json()["result"]["isError"] is True
    assert refused.json()["result"]["resultType"] == "complete"


@pytest.mark.parametrize("method", ["initialize", "ping", "subscriptions/listen", "prompts/list"])
def test_what_is_no_method_there(shared_daemon: Daemon, key: str, method: str) -> None:
    answer = ask(shared_daemon, key, method)
    assert (answer.status, answer.json()["error"]["code"]) == (404, -32601)


def test_headers_have_to_agree(shared_daemon: Daemon, key: str) -> None:
    """As at every connection."""
    wrong = lines("tools/call", {"name": "KEY_LIST"})
    asked = body("tools/call", {"name": "STATUS", "arguments": {}})
    answer = shared_daemon.tcp("POST", "/mcp/self", asked, key=key, **wrong)
    assert (answer.status, answer.json()["error"]["code"]) == (400, -32020)


def hanging(mark: str) -> dict[str, Any]:
    """The arguments of a call to another server's tool, which never answers."""
    inner = {"connection": "stand-in", "tool": "hang", "arguments": {"mark": mark}}
    return {"name": "TOOL_CALL", "arguments": inner}


def seen(daemon: Daemon, key: str) -> dict[str, list[str]]:
    """What that server tells of calls."""
    answer = daemon.rpc("stand-in", "tools/call", {"name": "seen", "arguments": {}}, key=key)
    return dict(answer.json()["result"]["structuredContent"]["value"])


def test_a_call_of_another_servers_tool_can_be_withdrawn(shared_daemon: Daemon, key: str) -> None:
    """By a notification, in a session; the server is told, and the client gets no answer."""
    hello = {"protocolVersion": "2025-11-25"}
    token = shared_daemon.rpc("self", "initialize", hello, key=key).headers["mcp-session-id"]
    answers: list[Answer] = []

    def wait() -> None:
        params = hanging("told")
        answers.append(shared_daemon.rpc("self", "tools/call", params, key=key, session=token))

    waiting = threading.Thread(target=wait)
    waiting.start()
    until(lambda: "told" in seen(shared_daemon, key)["hanging"])
    told = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    shared_daemon.tcp("POST", "/mcp/self", told, key=key, Mcp_Session_Id=token)
    waiting.join(60)
    assert [(answer.status, answer.body) for answer in answers] == [(202, b"")]
    until(lambda: "told" in seen(shared_daemon, key)["cancelled"])


def test_who_hangs_up_withdraws_it_in_the_stateless_era(shared_daemon: Daemon, key: str) -> None:
    parts, params = urlsplit(shared_daemon.url), hanging("gone")
    headers = lines("tools/call", params) | {
        "Authorization": f"Bearer {key}", "Content-Type": "application/json",
    }  # fmt: skip
    raw = request(
        "POST", "/mcp/self", parts.netloc, *(f"{name}: {value}" for name, value in headers.items()),
        body=json.dumps(body("tools/call", params)).encode(),
    )  # fmt: skip
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as wire:
        wire.sendall(raw)
        until(lambda: "gone" in seen(shared_daemon, key)["hanging"])
    until(lambda: "gone" in seen(shared_daemon, key)["cancelled"])

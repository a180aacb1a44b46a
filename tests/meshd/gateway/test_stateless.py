"""Clients of the stateless era at an upstream of the same era: bytes, headers, grants, states."""

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.daemon import Answer, Daemon
from tests.support.upstream import Reply, Seen, Upstream, answer, json_body, result, tool, upstream
from tests.support.wait import until

VERSION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}, "custom": {}},
    "io.modelcontextprotocol/clientInfo": {"name": "secretive", "version": "9"},
}
DISCOVERY = {
    "resultType": "complete", "supportedVersions": [VERSION], "ttlMs": 9, "cacheScope": "public",
    "capabilities": {"tools": {"listChanged": True}, "extensions": {"x": {}}}, "new": 1,
}  # fmt: skip
MARKED = {
    "type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
}  # fmt: skip


def replies() -> dict[str, Reply]:
    """A small server of the stateless era."""
    listed = {
        "resultType": "complete", "ttlMs": 60_000, "cacheScope": "public", "vendor": [1],
        "tools": [tool("echo", readOnlyHint=True), {**tool("write"), "inputSchema": MARKED}],
    }  # fmt: skip
    done = b'{"jsonrpc":"2.0","id":5,"result":{"content":[], "n":1.000e3,"resultType":"complete"}}'
    return {
        "server/discover": result(DISCOVERY),
        "tools/list": result(listed),
        "tools/call": json_body(done),
        "initialize": json_body(b'{"jsonrpc":"2.0","error":{"code":-32601}}' ),
        "GET": answer(b"", status="405 Method Not Allowed"),
    }  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon, server: Upstream) -> str:
    """A key for everything at the connection `modern`."""
    server.replies = replies()
    shared_daemon.connect_http("modern", server.url)
    return shared_daemon.add_key("modern-client", "modern")


@pytest.fixture(autouse=True)
def usual(server: Upstream) -> None:
    server.replies = replies()
    server.seen.clear()


def ask(
    daemon: Daemon, key: str, method: str, params: dict[str, Any] | None = None, **headers: str
) -> Answer:
    """One request of the stateless era, with the headers that it needs."""
    params = {"_meta": META, **(params or {})}
    body = {"jsonrpc": "2.0", "id": 5, "method": method, "params": params}
    right = {
        "MCP-Protocol-Version": VERSION, "Mcp-Method": method,
        "Accept": "application/json, text/event-stream",
    }  # fmt: skip
    if "name" in params:
        right["Mcp-Name"] = params["name"]
    sent = {n: v for n, v in (right | headers).items() if v}
    return daemon.tcp("POST", "/mcp/modern", body, key=key, **sent)


def test_what_is_discovered(shared_daemon: Daemon, key: str) -> None:
    """The upstream's own words, without the extensions that are not relayed."""
    said = ask(shared_daemon, key, "server/discover").json()["result"]
    assert said["supportedVersions"] == [VERSION]
    assert said["capabilities"] == {"tools": {"listChanged": True}}
    assert (said["new"], said["cacheScope"]) == (1, "private")


def test_a_call_passes_byte_for_byte(shared_daemon: Daemon, key: str, server: Upstream) -> None:
    """The result is untouched; the envelope and the headers are ours."""
    asked = {"name": "echo", "arguments": {"a": 1.0}, "_meta": META | {"traceparent": "00-1"}}
    got = ask(shared_daemon, key, "tools/call", asked)
    assert got.body.endswith(b'"result":{"content":[], "n":1.000e3,"resultType":"complete"}}')
    (seen,) = server.of("tools/call")
    assert (seen.header("Mcp-Method"), seen.header("Mcp-Name")) == ("tools/call", "echo")
    assert (seen.header("MCP-Protocol-Version"), seen.header("Mcp-Session-Id")) == (VERSION, None)
    assert b'"arguments":{"a": 1.0}' in seen.body
    meta = seen.message["params"]["_meta"]
    assert meta["io.modelcontextprotocol/clientInfo"]["name"] == "meshctl"
    assert meta["io.modelcontextprotocol/clientCapabilities"] == {"elicitation": {}}
    assert meta["traceparent"] == "00-1"
    assert b"secretive" not in seen.body


@pytest.mark.parametrize(
    ("method", "headers", "status", "code"),
    [
        ("tools/list", {"Mcp-Method": "tools/call"}, 400, -32020),
        ("tools/list", {"Mcp-Method": ""}, 400, -32020),
        ("tools/list", {"MCP-Protocol-Version": ""}, 400, -32020),
        ("tools/list", {"MCP-Protocol-Version": "2099-01-01"}, 400, -32020),
        ("ping", {}, 404, -32601),
        ("initialize", {}, 404, -32601),
    ],
)
def test_what_is_refused_before_it_is_asked(
    shared_daemon: Daemon,
    key: str,
    server: Upstream,
    method: str,
    headers: Any,
    status: int,
    code: int,
) -> None:
    """The upstream hears nothing of it."""
    got = ask(shared_daemon, key, method, **headers)
    assert (got.status, got.json()["error"]["code"]) == (status, code)
    assert server.seen == []


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_there_are_no_sessions(shared_daemon: Daemon, key: str, method: str) -> None:
    got = shared_daemon.tcp(method, "/mcp/modern", key=key, **{"MCP-Protocol-Version": VERSION})
    assert got.status == 405


def test_lists_show_what_is_granted(shared_daemon: Daemon, key: str) -> None:
    """The same grants as in the other era; what a key sees is nobody else's to keep."""
    narrow = shared_daemon.add_key("modern-narrow", "modern/echo")
    listed = ask(shared_daemon, narrow, "tools/list").json()["result"]
    everything = ask(shared_daemon, key, "tools/list").json()["result"]
    refused = ask(shared_daemon, narrow, "tools/call", {"name": "write", "arguments": {}})
    other = ask(shared_daemon, narrow, "resources/read", {"uri": "x:"}, **{"Mcp-Name": "x:"})
    shared_daemon.control("DELETE", "/v1/keys/modern-narrow")
    assert [entry["name"] for entry in listed["tools"]] == ["echo"]
    assert [entry["name"] for entry in everything["tools"]] == ["echo", "write"]
    assert listed["cacheScope"] == everything["cacheScope"] == "private"
    assert 0 < listed["ttlMs"] <= 60_000  # what is left of it
    assert listed["vendor"] == [1]
    denied = refused.json()["result"]
    assert (refused.status, denied["isError"], denied["resultType"]) == (200, True, "complete")
    assert denied["_meta"]["meshctl/denied"]["next"].endswith("--allow modern/write")
    assert other.status == 400


def test_marked_arguments_have_to_agree(shared_daemon: Daemon, key: str, server: Upstream) -> None:
    """Their headers are compared with the body, and written anew for the upstream."""
    asked = {"name": "write", "arguments": {"region": "größe"}}
    assert ask(shared_daemon, key, "tools/call", asked).json()["error"]["code"] == -32020
    wrong = {"Mcp-Param-Region": "us"}
    assert ask(shared_daemon, key, "tools/call", asked, **wrong).status == 400
    right = {"Mcp-Param-Region": "=?base64?Z3LDtsOfZQ==?="}
    assert "result" in ask(shared_daemon, key, "tools/call", asked, **right).json()
    (seen,) = server.of("tools/call")
    assert seen.header("Mcp-Param-Region") == right["Mcp-Param-Region"]


def test_a_call_is_recorded(shared_daemon: Daemon, key: str) -> None:
    ask(shared_daemon, key, "tools/call", {"name": "echo", "arguments": {"mark": "kept"}})
    newest = shared_daemon.control("GET", "/v1/calls?limit=1")[0]
    assert (newest["tool"], newest["ok"], newest["principal"]) == ("echo", True, "modern-client")


def wanting(seen: Seen, wire: socket.socket) -> None:
    """A call that wants input, and then tells the state that it got back."""
    params = seen.message["params"]
    if "requestState" in params:
        value: Any = {"content": [], "got": params["requestState"], "resultType": "complete"}
    else:
        value = {"resultType": "input_required", "inputRequests": {}, "requestState": "s3cret"}
    result(value)(seen, wire)


def test_a_state_is_sealed_on_its_way(shared_daemon: Daemon, key: str, server: Upstream) -> None:
    """The upstream gets its own bytes back; nobody else, and nothing else, can bring them."""
    server.replies["tools/call"] = wanting
    asked = {"name": "echo", "arguments": {"a": 1}}
    state = ask(shared_daemon, key, "tools/call", asked).json()["result"]["requestState"]
    assert "s3cret" not in state
    again = asked | {"requestState": state, "inputResponses": {}}
    got = ask(shared_daemon, key, "tools/call", again).json()["result"]
    assert got["got"] == "s3cret"
    stranger = shared_daemon.add_key("stranger", "modern")
    wrong = [
        ask(shared_daemon, stranger, "tools/call", again),
        ask(shared_daemon, key, "tools/call", again | {"arguments": {"a": 2}}),
        ask(shared_daemon, key, "tools/call", again | {"requestState": "s3cret"}),
        ask(shared_daemon, key, "tools/call", again | {"requestState": state[:-4] + "AAAA"}),
    ]
    shared_daemon.control("DELETE", "/v1/keys/stranger")
    assert [(one.status, one.json()["error"]["code"]) for one in wrong] == [(400, -32602)] * 4
    assert len(server.of("tools/call")) == 2


def test_who_hangs_up_cancels(shared_daemon: Daemon, key: str, server: Upstream) -> None:
    """The upstream's connection is closed at once, and the record says why."""
    asked, closed = threading.Event(), threading.Event()

    def hanging(_seen: Seen, wire: socket.socket) -> None:
        asked.set()
        wire.settimeout(20)
        wire.recv(1)
        closed.set()

    server.replies["tools/call"] = hanging
    host, port = shared_daemon.url.removeprefix("http://").split(":")
    params = {"name": "echo", "arguments": {}, "_meta": META}
    body = json.dumps({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params})
    with socket.create_connection((host, int(port))) as wire:
        wire.sendall(
            (
                f"POST /mcp/modern HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {key}\r\n"
                f"Content-Type: application/json\r\nMCP-Protocol-Version: {VERSION}\r\n"
                f"Mcp-Method: tools/call\r\nMcp-Name: echo\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            ).encode()
        )
        assert asked.wait(10)
    assert closed.wait(10)

    def told() -> bool:
        newest = shared_daemon.control("GET", "/v1/calls?limit=1")[0]
        return newest["error"] == "cancelled by the client"

    until(told)


def test_an_upstream_that_became_another(shared_daemon: Daemon, key: str, server: Upstream) -> None:
    """A refusal that no server of its era gives has it asked again which era it speaks."""
    from tests.support.upstream import usual_replies

    older = usual_replies()

    def refused(seen: Seen, wire: socket.socket) -> None:
        stateless = seen.header("MCP-Protocol-Version") == VERSION
        kind = "refused" if stateless else seen.kind
        older.get(kind, answer(b"no session", status="400 Bad Request"))(seen, wire)

    server.replies = dict.fromkeys(
        ("server/discover", "initialize", "tools/call", "tools/list"), refused
    )
    asked = {"name": "echo", "arguments": {}}
    got = ask(shared_daemon, key, "tools/call", asked).json()["result"]
    assert (got["content"][0]["text"], got["resultType"]) == ("done", "complete")
    assert shared_daemon.control("GET", "/v1/connections/modern")["protocol"] == "2025-11-25"
    shared_daemon.control("POST", "/v1/connections/modern/disable")
    server.replies = replies()
    shared_daemon.control("POST", "/v1/connections/modern/enable")
    assert shared_daemon.control("GET", "/v1/connections/modern")["protocol"] == VERSION

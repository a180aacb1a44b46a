"""`subscriptions/listen`: what a stateless client hears, and when it hears no more."""

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest

from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.upstream import Upstream, answer, result, upstream

VERSION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
}
TURN = {"name": "turn", "arguments": {"read_only": True}}
LABEL = "io.modelcontextprotocol/subscriptionId"


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """One of its own: these tests stop it and take its keys away."""
    made = Daemon.fresh().start()
    made.connect("shared", *stdio_server.command())
    yield made
    made.remove()


@contextmanager
def listening(daemon: Daemon, key: str, **wanted: Any) -> Iterator[HTTPResponse]:
    """The open stream; its request has the id `mine`."""
    link = HTTPConnection(daemon.url.removeprefix("http://"), timeout=20)
    params = {"_meta": META, "notifications": wanted}
    body = {"jsonrpc": "2.0", "id": "mine", "method": "subscriptions/listen", "params": params}
    headers = {
        "Authorization": f"Bearer {key}", "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": VERSION,
        "Mcp-Method": "subscriptions/listen",
    }  # fmt: skip
    with closing(link):
        link.request("POST", "/mcp/shared", json.dumps(body), headers)
        with link.getresponse() as stream:
            yield stream


def heard(stream: HTTPResponse) -> dict[str, Any]:
    """The next message; empty at the end."""
    while line := stream.readline():
        if line.startswith(b"data: "):
            return dict(json.loads(line[6:]))
    return {}


def test_a_shared_server_is_heard(daemon: Daemon) -> None:
    """First what is honoured, then what changes, all with the client's own id."""
    key = daemon.add_key("listener")
    with listening(daemon, key, toolsListChanged=True, resourceSubscriptions=["x:"]) as stream:
        first = heard(stream)
        assert first["method"] == "notifications/subscriptions/acknowledged"
        assert first["params"]["notifications"] == {"toolsListChanged": True}
        daemon.rpc("shared", "tools/call", TURN, key=key)
        told = heard(stream)
    assert told["method"] == "notifications/tools/list_changed"
    assert first["params"]["_meta"] == told["params"]["_meta"] == {LABEL: "mine"}


def test_a_revoked_key_hears_no_more(daemon: Daemon) -> None:
    """Nothing after it was taken away; the stream ends in order."""
    key, other = daemon.add_key("listener"), daemon.add_key("other")
    with listening(daemon, key, toolsListChanged=True) as stream:
        assert heard(stream)
        daemon.control("DELETE", "/v1/keys/listener")
        daemon.rpc("shared", "tools/call", TURN, key=other)
        assert heard(stream) == {
            "jsonrpc": "2.0", "id": "mine", "result": {"resultType": "complete"},
        }  # fmt: skip


def test_an_open_subscription_does_not_keep_the_daemon(daemon: Daemon) -> None:
    """It ends when the daemon stops, long before its calls would have to."""
    with listening(daemon, daemon.add_key("listener"), toolsListChanged=True) as stream:
        assert heard(stream)
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < 20
    daemon.start()


def modern_only(server: Upstream, status: str) -> None:
    """Make it a server that knows no handshake."""
    refusal = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"older"}}'
    json_type = "Content-Type: application/json"
    server.replies["initialize"] = answer(refusal, json_type, status=status)
    discovery = {"supportedVersions": [VERSION], "capabilities": {"tools": {}}}
    server.replies["server/discover"] = result(discovery)


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "200 OK"])
def test_a_handshake_session_at_a_stateless_server_outlives_the_daemon(
    daemon: Daemon, status: str
) -> None:
    """The session is in its token; what the client declared goes on reaching the server."""
    key = daemon.add_key("client")
    with upstream() as server:
        modern_only(server, status)
        daemon.connect_http("modern", server.url)
        hello = {"protocolVersion": "2025-06-18", "capabilities": {"roots": {}}, "clientInfo": {}}
        opened = daemon.rpc("modern", "initialize", hello, key=key)
        assert opened.json()["result"]["protocolVersion"] == "2025-06-18"
        session = opened.headers["mcp-session-id"]
        for _ in range(2):
            called = daemon.rpc("modern", "tools/call", {"name": "echo"}, key=key, session=session)
            assert called.json()["result"] == {"content": [{"type": "text", "text": "done"}]}
            seen = server.of("tools/call")[-1]
            assert seen.header("Mcp-Name") == "echo"
            declared = seen.message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"]
            assert declared == {"roots": {}}
            daemon.stop()
            daemon.start()
        ended = daemon.tcp("DELETE", "/mcp/modern", key=key, **{"Mcp-Session-Id": session})
        assert ended.status == 204
        gone = daemon.rpc("modern", "tools/list", key=key, session=session)
        assert gone.status == 404

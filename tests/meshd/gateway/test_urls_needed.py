"""A handshake server that wants its user to visit a URL first, and clients of both eras."""

import json
from collections.abc import Iterator
from socket import socket
from typing import Any

import pytest

from tests.support import virtuals
from tests.support.daemon import Daemon
from tests.support.upstream import Seen, Upstream, json_body, result, tool, upstream
from tests.support.virtuals import HANDSHAKE, STATELESS, ask

ASKED = {"mode": "url", "elicitationId": "e1", "url": "https://login.example/", "message": "Go."}
ERROR = {"code": -32042, "message": "log in first", "data": {"elicitations": [ASKED]}}
CAN = {"elicitation": {"url": {}}}
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    """Its tool wants the URL visited, however often it is called."""

    def reply(seen: Seen, wire: socket) -> None:
        message = {"jsonrpc": "2.0", "id": seen.message["id"], "error": ERROR}
        json_body(json.dumps(message).encode())(seen, wire)

    with upstream() as running:
        running.replies["tools/list"] = result({"tools": [tool("act")]})
        running.replies["tools/call"] = reply
        yield running


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon, server: Upstream) -> str:
    shared_daemon.connect_http("a", server.url)
    virtuals.make(shared_daemon, "team", "a")
    return shared_daemon.add_key("k")


PATHS = [("/a", "act"), ("/team", "a_act")]


def called(daemon: Daemon, key: str, path: str, name: str, era: str, can: Any) -> dict[str, Any]:
    """The answer to a call of a client that declares this."""
    params: dict[str, Any] = {"name": name, "arguments": {}}
    if era == STATELESS:
        params["_meta"] = {CAPABILITIES: can}
        return dict(ask(daemon, path, "tools/call", params, key=key, era=era).json())
    hello = {"protocolVersion": "2025-11-25", "capabilities": can}
    session = ask(daemon, path, "initialize", hello, key=key).headers["mcp-session-id"]
    found = ask(daemon, path, "tools/call", params, key=key, Mcp_Session_Id=session)
    return dict(found.json())


@pytest.mark.parametrize(("path", "name"), PATHS)
def test_a_stateless_client_is_asked(shared_daemon: Daemon, key: str, path: str, name: str) -> None:
    """In the way of its era, and its answer is the call once more."""
    found = called(shared_daemon, key, path, name, STATELESS, CAN)["result"]
    assert found["resultType"] == "input_required"
    assert [one["params"] for one in found["inputRequests"].values()] == [ASKED]


@pytest.mark.parametrize("can", [CAN, {}], ids=["can", "cannot"])
@pytest.mark.parametrize(("path", "name"), PATHS)
def test_a_handshake_client_gets_the_error_which_it_knows(
    shared_daemon: Daemon, server: Upstream, key: str, path: str, name: str, can: Any
) -> None:
    """It is not asked again and again by the gateway, whatever its user says."""
    server.seen.clear()
    assert called(shared_daemon, key, path, name, HANDSHAKE, can)["error"] == ERROR
    assert len(server.of("tools/call")) == 1


@pytest.mark.parametrize(("path", "name"), PATHS)
def test_who_cannot_visit_urls_gets_the_error(
    shared_daemon: Daemon, key: str, path: str, name: str
) -> None:
    assert called(shared_daemon, key, path, name, STATELESS, {})["error"] == ERROR

"""`tools/list` of one connection: from memory, as fresh as it has to be, from outside."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from socket import socket
from typing import Any

import pytest

from tests.support import changing_server, fault
from tests.support.daemon import Daemon
from tests.support.upstream import (
    SESSION,
    WELCOME,
    Seen,
    Upstream,
    event_stream,
    result,
    tool,
    upstream,
)
from tests.support.wait import until

CHANGED = b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
CLIENT = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}}


@pytest.fixture
def server() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture
def key(daemon: Daemon, server: Upstream) -> str:
    """A key for the server, which was listed once."""
    daemon.connect_http("a", server.url)
    return daemon.add_key("k")


def names(daemon: Daemon, key: str, connection: str = "a", session: str = "") -> list[str]:
    got = daemon.rpc(connection, "tools/list", key=key, session=session).json()["result"]
    return [entry["name"] for entry in got["tools"]]


def announcing(seen: Seen, wire: socket) -> None:
    """A call's answer, before which the server tells of a change."""
    reply = {"jsonrpc": "2.0", "id": seen.message["id"], "result": {"content": []}}
    body = b"data: " + CHANGED + b"\n\ndata: " + json.dumps(reply).encode() + b"\n\n"
    event_stream(body)(seen, wire)


def opened(daemon: Daemon, key: str) -> str:
    """A client's session."""
    return daemon.rpc("a", "initialize", CLIENT, key=key).headers["mcp-session-id"]


def test_many_clients_cost_one_question(daemon: Daemon, server: Upstream, key: str) -> None:
    """Also when they come all at once, and the list is known to be another."""
    server.replies["tools/call"] = announcing
    daemon.rpc("a", "tools/call", {"name": "echo", "arguments": {}}, key=key)
    before = len(server.of("tools/list"))
    gate, reply = threading.Event(), result({"tools": [tool("new")]})

    def waiting(seen: Seen, wire: socket) -> None:
        gate.wait(60)
        reply(seen, wire)

    server.replies["tools/list"] = waiting
    clients = [threading.Thread(target=names, args=(daemon, key)) for _ in range(8)]
    for client in clients:
        client.start()
    until(lambda: len(server.of("tools/list")) > before)
    gate.set()
    for client in clients:
        client.join()
    assert names(daemon, key) == ["new"]
    assert len(server.of("tools/list")) == before + 1


def test_a_change_that_is_told_of_shows_at_once(daemon: Daemon, server: Upstream, key: str) -> None:
    server.replies["tools/list"] = result({"tools": [tool("new")]})
    assert names(daemon, key) == ["echo", "write"]
    server.replies["tools/call"] = announcing
    daemon.rpc("a", "tools/call", {"name": "echo", "arguments": {}}, key=key)
    assert names(daemon, key) == ["new"]


def test_a_child_tells_of_a_change(daemon: Daemon, tmp_path: Path) -> None:
    file = tmp_path / "tools.json"
    file.write_text(json.dumps([tool("announce")]))
    daemon.connect("child", *changing_server.command(file))
    key = daemon.add_key("k")
    assert names(daemon, key, "child") == ["announce"]
    file.write_text(json.dumps([tool("new")]))
    assert names(daemon, key, "child") == ["announce"]
    daemon.rpc("child", "tools/call", {"name": "announce", "arguments": {}}, key=key)
    assert names(daemon, key, "child") == ["new"]


def test_a_test_of_the_connection_shows_what_changed(
    daemon: Daemon, server: Upstream, key: str
) -> None:
    server.replies["tools/list"] = result({"tools": [tool("new")]})
    daemon.control("POST", "/v1/connections/a/test")
    assert names(daemon, key) == ["new"]


def test_a_session_with_tools_of_its_own_lists_for_itself(
    daemon: Daemon, server: Upstream, key: str
) -> None:
    """Once it was told of a change; others do not, nor does it once its list is theirs again."""
    common = [tool("echo")]
    own: list[dict[str, Any]] = [tool("mine")]

    def listed(seen: Seen, wire: socket) -> None:
        mine = seen.header("Mcp-Session-Id") == "dynamic"
        result({"tools": own if mine else common})(seen, wire)

    server.replies["tools/list"] = listed
    server.replies["tools/call"] = announcing
    server.replies["initialize"] = result(WELCOME, "Mcp-Session-Id: dynamic")
    session = opened(daemon, key)
    server.replies["initialize"] = result(WELCOME, f"Mcp-Session-Id: {SESSION}")
    other = opened(daemon, key)
    daemon.rpc("a", "tools/call", {"name": "echo", "arguments": {}}, key=key, session=session)
    assert names(daemon, key, session=session) == ["mine"]
    assert names(daemon, key, session=other) == ["echo"]
    assert names(daemon, key, session=session) == ["mine"]
    own[:] = common
    assert names(daemon, key, session=session) == ["echo"]
    asked = len(server.of("tools/list"))
    assert names(daemon, key, session=session) == ["echo"]
    assert len(server.of("tools/list")) == asked


def test_all_pages_are_one_and_a_cursor_is_the_servers(
    daemon: Daemon, server: Upstream, key: str
) -> None:
    def page(seen: Seen, wire: socket) -> None:
        at = int(seen.message["params"].get("cursor", 0))
        more = {"nextCursor": str(at + 1)} if at < 2 else {}
        result({"tools": [tool(f"t{at}")], **more})(seen, wire)

    server.replies["tools/list"] = page
    daemon.control("POST", "/v1/connections/a/test")
    whole = daemon.rpc("a", "tools/list", {"cursor": None}, key=key).json()["result"]
    assert [entry["name"] for entry in whole["tools"]] == ["t0", "t1", "t2"]
    assert "nextCursor" not in whole
    asked = daemon.rpc("a", "tools/list", {"cursor": "1"}, key=key).json()["result"]
    assert ([entry["name"] for entry in asked["tools"]], asked["nextCursor"]) == (["t1"], "2")


def test_each_key_is_served_its_own(daemon: Daemon, key: str) -> None:
    """What is kept for one set of grants is not what another is served."""
    keys = {
        "narrow": daemon.add_key("narrow", "a/write"),
        "reader": daemon.add_key("reader", "a", read_only=True),
        "none": daemon.add_key("none", "a/nothing"),
    }
    for _ in range(2):
        assert names(daemon, key) == ["echo", "write"]
        assert {name: names(daemon, one) for name, one in keys.items()} == {
            "narrow": ["write"], "reader": ["echo"], "none": [],
        }  # fmt: skip


def test_a_server_that_fails_is_covered_up_and_marked(
    daemon: Daemon, server: Upstream, key: str
) -> None:
    """Its calls fail, its list says why it may be old."""
    server.replies["tools/list"] = server.replies["tools/call"] = fault.status("500 Oops")
    called = daemon.rpc("a", "tools/call", {"name": "echo", "arguments": {}}, key=key).json()
    assert called["error"]["data"]["code"] == "upstream_failed"
    shown = daemon.rpc("a", "tools/list", key=key).json()["result"]
    assert [entry["name"] for entry in shown["tools"]] == ["echo", "write"]
    (mark,) = shown["_meta"]["meshctl/stale"]
    assert mark["connection"] == "a"
    assert "HTTP 500" in mark["reason"]
    assert 0 <= mark["age_s"] < 60

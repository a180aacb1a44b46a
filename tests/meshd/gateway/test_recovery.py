"""An upstream that breaks off: what is asked again, what is not, and what clients and operators see."""

import json
import time
from collections.abc import Iterator
from socket import socket
from typing import Any

import pytest

from tests.support import fault, stdio_server
from tests.support.daemon import Answer, Daemon
from tests.support.upstream import SESSION, Reply, Seen, Upstream, answer, result, tool, upstream
from tests.support.wait import until

TOOLS = [
    tool("read", readOnlyHint=True), tool("same", idempotentHint=True), tool("write"),
    tool("odd", idempotentHint=False),
]  # fmt: skip
DONE = result({"content": []})
HELLO = {
    "protocolVersion": "2025-11-25", "capabilities": {"elicitation": {"form": {}}, "own": {}},
    "clientInfo": {"name": "secretive", "version": "9"},
}  # fmt: skip


@pytest.fixture
def server() -> Iterator[Upstream]:
    with upstream() as made:
        made.replies["tools/list"] = result({"tools": TOOLS})
        made.replies["tools/call"] = DONE
        yield made


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon) -> str:
    return shared_daemon.add_key("client")


@pytest.fixture
def name(shared_daemon: Daemon, server: Upstream, request: pytest.FixtureRequest) -> str:
    """The server as a connection of this test's own."""
    made = f"c{abs(hash(request.node.name)) % 10**9}"
    shared_daemon.connect_http(made, server.url)
    return made


def then(*replies: Reply) -> Reply:
    """Each in turn; the last for ever."""
    left = list(replies)

    def reply(seen: Seen, wire: socket) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(seen, wire)

    return reply


def call(daemon: Daemon, name: str, key: str, tool: str = "read", session: str = "") -> Answer:
    return daemon.rpc(name, "tools/call", {"name": tool, "arguments": {}}, key=key, session=session)


def failure(got: Answer) -> dict[str, Any]:
    """The error of an answer, also at the end of a stream."""
    assert got.status == 200
    found = json.loads(got.body.rstrip().rpartition(b"data: ")[2] or got.body)
    return dict(found["error"]["data"])


BREAKS = {"reset": fault.reset, "cut": fault.cut_json, "cut stream": fault.cut_stream}


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("wanted", ["read", "same"])
def test_what_may_be_repeated_is_asked_again(
    shared_daemon: Daemon, server: Upstream, key: str, name: str, how: str, wanted: str
) -> None:
    """Once, and the client sees nothing of it."""
    server.replies["tools/call"] = then(BREAKS[how], DONE)
    got = call(shared_daemon, name, key, wanted)
    assert (got.status, "result" in got.json()) == (200, True)
    assert len(server.of("tools/call")) == 2


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("wanted", ["write", "odd", "unknown"])
def test_what_may_not_be_repeated_is_not(
    shared_daemon: Daemon, server: Upstream, key: str, name: str, how: str, wanted: str
) -> None:
    """The client is told that it may have run."""
    server.replies["tools/call"] = then(BREAKS[how], DONE)
    error = failure(call(shared_daemon, name, key, wanted))
    assert error["code"] == "upstream_failed"
    assert error["the call"].startswith("may have run")
    assert len(server.of("tools/call")) == 1


def test_it_is_tried_thrice_at_most(
    shared_daemon: Daemon, server: Upstream, key: str, name: str
) -> None:
    server.replies["tools/call"] = then(fault.reset, fault.reset, DONE)
    assert "result" in call(shared_daemon, name, key).json()
    assert len(server.of("tools/call")) == 3
    server.replies["tools/call"] = fault.reset
    error = failure(call(shared_daemon, name, key))
    assert (error["code"], error["the call"][:12]) == ("upstream_failed", "may have run")
    assert len(server.of("tools/call")) == 6


@pytest.mark.parametrize("again", ["forgotten", "gone"])
def test_a_server_restarted_again_while_a_session_begins_anew(
    shared_daemon: Daemon, server: Upstream, key: str, name: str, again: str
) -> None:
    """What it did not take goes on in yet another session, also what may not be repeated."""
    token = shared_daemon.rpc(name, "initialize", HELLO, key=key).headers["mcp-session-id"]
    begun = [
        result({"protocolVersion": "2025-11-25", "capabilities": {}}, f"Mcp-Session-Id: {number}")
        for number in (1, 2)
    ]
    server.replies["initialize"] = then(*(begun if again == "forgotten" else (fault.reset, *begun)))
    forgotten = answer(b"", status="404 Not Found")
    known = "2" if again == "forgotten" else "1"

    def taken(seen: Seen, wire: socket) -> None:
        (DONE if seen.header("Mcp-Session-Id") == known else forgotten)(seen, wire)

    server.replies["tools/call"] = taken
    got = call(shared_daemon, name, key, "write", session=token)
    assert (got.status, "result" in got.json()) == (200, True)


def test_a_server_that_forgets_every_session_is_no_404(
    shared_daemon: Daemon, server: Upstream, key: str, name: str
) -> None:
    """Which would make its client begin another session, in vain."""
    token = shared_daemon.rpc(name, "initialize", HELLO, key=key).headers["mcp-session-id"]
    server.replies["tools/call"] = answer(b"", status="404 Not Found")
    begun = len(server.of("initialize"))
    error = failure(call(shared_daemon, name, key, session=token))
    assert error["code"] == "upstream_failed"
    assert "the call" not in error
    assert (len(server.of("tools/call")), len(server.of("initialize")) - begun) == (3, 2)


@pytest.mark.parametrize(
    "reply",
    [result({"content": [], "isError": True}), fault.status("500 Oops"), fault.garbage()],
    ids=["isError", "500", "nonsense"],
)
def test_what_the_server_says_is_not_asked_again(
    shared_daemon: Daemon, server: Upstream, key: str, name: str, reply: Reply
) -> None:
    """However often: nothing is held back for it either."""
    server.replies["tools/call"] = reply
    for _ in range(8):
        call(shared_daemon, name, key)
    assert len(server.of("tools/call")) == 8
    assert "next_probe_s" not in shared_daemon.control("GET", f"/v1/connections/{name}")


def test_a_session_goes_on_at_a_server_that_forgot_it(
    shared_daemon: Daemon, server: Upstream, key: str, name: str
) -> None:
    """Begun anew with what the client declared, and nothing else of it; also for what writes."""
    token = shared_daemon.rpc(name, "initialize", HELLO, key=key).headers["mcp-session-id"]
    server.replies["initialize"] = result(
        {"protocolVersion": "2025-11-25", "capabilities": {}}, "Mcp-Session-Id: another"
    )
    forgotten = answer(b"", status="404 Not Found")

    def known(seen: Seen, wire: socket) -> None:
        (DONE if seen.header("Mcp-Session-Id") == "another" else forgotten)(seen, wire)

    server.replies["tools/call"] = known
    for _ in range(3):
        got = call(shared_daemon, name, key, "write", session=token)
        assert (got.status, "result" in got.json()) == (200, True)
    used = [seen.header("Mcp-Session-Id") for seen in server.of("tools/call")]
    assert used == [SESSION, "another", "another", "another"]
    hello = server.of("initialize")[-1].message["params"]
    assert hello["capabilities"] == {"elicitation": {"form": {}}}
    assert hello["clientInfo"]["name"] == "meshctl"
    shared_daemon.tcp("DELETE", f"/mcp/{name}", key=key, Mcp_Session_Id=token)
    assert server.of("DELETE")[-1].header("Mcp-Session-Id") == "another"


def test_calls_are_held_back_from_what_is_gone(shared_daemon: Daemon, key: str) -> None:
    """At once, with when it is tried next; operators see it, and it ends by itself."""
    with upstream() as server:
        shared_daemon.connect_http("gone", server.url)
        port = int(server.url.split(":")[2].split("/")[0])
        assert call(shared_daemon, "gone", key).json().get("result") is not None
    held = until(lambda: failure(call(shared_daemon, "gone", key)).get("retry_after_s") and True)
    assert held
    began = time.monotonic()
    error = failure(call(shared_daemon, "gone", key, "write"))
    assert error["state"].startswith("failing")
    assert "next try" in error
    assert "the call" not in error, "it was not sent"
    assert time.monotonic() - began < 60
    shown = until(
        lambda: (
            shared_daemon.control("GET", "/v1/connections/gone").get("next_probe_s", -1) >= 0
            and shared_daemon.control("GET", "/v1/connections/gone")
        )
    )
    assert shown["state"] == "failing"
    with upstream(port):
        until(lambda: shared_daemon.control("GET", "/v1/connections/gone")["state"] == "ready", 120)
        assert call(shared_daemon, "gone", key).json().get("result") is not None


def test_a_child_that_died_is_asked_again(shared_daemon: Daemon, key: str) -> None:
    """What may be repeated; the tool that kills it may not, and says that it may have run."""
    shared_daemon.connect("child", *stdio_server.command())
    error = failure(call(shared_daemon, "child", key, "die"))
    assert error["the call"].startswith("may have run")
    assert call(shared_daemon, "child", key, "echo").json().get("result") is not None

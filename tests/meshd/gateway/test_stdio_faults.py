"""What a stdio server does wrong becomes a typed error of the calls it concerns, and of no other."""

from typing import Any

import pytest

from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.raw_http import exchange, request


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon) -> str:
    shared_daemon.connect("stand-in", *stdio_server.command())
    return shared_daemon.add_key("client")


def call(daemon: Daemon, key: str, name: str, connection: str = "stand-in") -> dict[str, Any]:
    """The whole JSON-RPC answer of a call."""
    answer = daemon.rpc(connection, "tools/call", {"name": name, "arguments": {}}, key=key)
    assert answer.status == 200
    found = answer.json()
    assert isinstance(found, dict)
    return found


def test_a_server_that_dies_fails_its_call_and_comes_back(shared_daemon: Daemon, key: str) -> None:
    """The error has its last words; the next call gets a new child."""
    before = call(shared_daemon, key, "pids")["result"]["structuredContent"]["value"][0]
    error = call(shared_daemon, key, "die")["error"]
    assert error["data"]["code"] == "upstream_failed"
    assert "the disk is full" in str(error["data"])
    after = call(shared_daemon, key, "pids")["result"]["structuredContent"]["value"][0]
    assert before != after


def test_an_answer_with_half_a_character_is_an_answer(shared_daemon: Daemon, key: str) -> None:
    """A result, or a typed error; not silence until some deadline."""
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"halve"}}'
    host = shared_daemon.url.removeprefix("http://")
    headers = (f"Authorization: Bearer {key}", "Content-Type: application/json")
    raw = request("POST", "/mcp/stand-in", host, *headers, body=body)
    answer = exchange(shared_daemon.url, raw, timeout=3).json()
    assert "result" in answer or answer["error"]["data"]["code"] == "upstream_failed"


def test_an_error_of_the_server_is_the_servers_own(shared_daemon: Daemon, key: str) -> None:
    """Code and sentence arrive as they were sent."""
    assert call(shared_daemon, key, "unheard-of")["error"] == {
        "code": -32602, "message": "no such tool",
    }  # fmt: skip


@pytest.mark.parametrize(
    "command", [["/nonexistent/server"], ["/bin/sh", "-c", "echo broken >&2; exit 3"], ["cat"]]
)
def test_what_is_no_server_is_a_typed_error(
    shared_daemon: Daemon, key: str, command: list[str]
) -> None:
    """To calls as in the state of the connection, which is kept."""
    name = f"bad-{len(command)}-{command[0].rpartition('/')[2]}"
    made = shared_daemon.connect(name, *command)
    assert made["state"] == "failing"
    assert made["reason"]
    assert call(shared_daemon, key, "echo", name)["error"]["data"]["code"] == "upstream_failed"

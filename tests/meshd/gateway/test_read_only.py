"""Read-only keys: what the upstream annotates as read-only at that moment, and nothing else."""

from typing import Any

import pytest

from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.upstream import result, tool, upstream
from tests.support.wait import until


def names(daemon: Daemon, connection: str, key: str) -> set[str]:
    """The tools that are listed."""
    listed = daemon.rpc(connection, "tools/list", key=key).json()["result"]["tools"]
    return {entry["name"] for entry in listed}


def call(daemon: Daemon, connection: str, name: str, key: str) -> dict[str, Any]:
    """A call's result."""
    params = {"name": name, "arguments": {}}
    found = daemon.rpc(connection, "tools/call", params, key=key).json()["result"]
    assert isinstance(found, dict)
    return found


def denied(answer: dict[str, Any]) -> bool:
    return "meshctl/denied" in answer.get("_meta", {})


@pytest.fixture(scope="module")
def reader(shared_daemon: Daemon) -> str:
    """A read-only key for everything."""
    shared_daemon.connect("stand-in", *stdio_server.command())
    return shared_daemon.add_key("reader", read_only=True)


def test_only_annotated_tools_are_listed_and_callable(shared_daemon: Daemon, reader: str) -> None:
    """The others are hidden, and what is hidden cannot be called."""
    assert names(shared_daemon, "stand-in", reader) == {"echo", "pids"}
    assert not denied(call(shared_daemon, "stand-in", "echo", reader))
    refused = call(shared_daemon, "stand-in", "write", reader)
    assert refused["_meta"]["meshctl/denied"]["next"] == "meshctl key edit reader --no-read-only"


def test_a_tool_that_nobody_lists_is_refused(shared_daemon: Daemon, reader: str) -> None:
    """No annotation, no call."""
    assert denied(call(shared_daemon, "stand-in", "unheard-of", reader))


def test_read_only_and_a_grant_both_have_to_agree(shared_daemon: Daemon, reader: str) -> None:
    """A grant on a tool that writes helps a read-only key nothing."""
    key = shared_daemon.add_key("both", "stand-in/write", "stand-in/echo", read_only=True)
    assert names(shared_daemon, "stand-in", key) == {"echo"}
    assert denied(call(shared_daemon, "stand-in", "write", key))


def test_the_annotation_of_the_moment_counts(shared_daemon: Daemon, reader: str) -> None:
    """A stdio server that says its list changed is believed at once, in both directions."""
    key = shared_daemon.add_key("writer")

    def turn(read_only: bool) -> None:
        params = {"name": "turn", "arguments": {"read_only": read_only}}
        shared_daemon.rpc("stand-in", "tools/call", params, key=key)

    turn(True)
    until(lambda: not denied(call(shared_daemon, "stand-in", "write", reader)), 2)
    turn(False)
    until(lambda: denied(call(shared_daemon, "stand-in", "write", reader)), 2)


def test_a_changed_list_of_an_http_server_counts(shared_daemon: Daemon, reader: str) -> None:
    """Once it is listed anew, the call that was allowed before is refused, and not sent."""
    with upstream() as server:
        shared_daemon.connect_http("recorder", server.url)
        assert names(shared_daemon, "recorder", reader) == {"echo"}
        assert not denied(call(shared_daemon, "recorder", "echo", reader))
        server.replies["tools/list"] = result({"tools": [tool("echo"), tool("write")]})
        shared_daemon.control("POST", "/v1/connections/recorder/test")
        assert names(shared_daemon, "recorder", reader) == set()
        sent = len(server.of("tools/call"))
        assert denied(call(shared_daemon, "recorder", "echo", reader))
        assert len(server.of("tools/call")) == sent


def test_when_the_list_cannot_be_had_nothing_is_allowed(shared_daemon: Daemon, reader: str) -> None:
    """A connection that was never listed: the call fails, typed, and is not sent."""
    with upstream() as server:
        server.replies["tools/list"] = result({"tools": "none"})
        shared_daemon.connect_http("unlisted", server.url)
        params = {"name": "echo", "arguments": {}}
        answer = shared_daemon.rpc("unlisted", "tools/call", params, key=reader).json()
        assert answer["error"]["data"]["code"] == "upstream_failed"
        assert server.of("tools/call") == []

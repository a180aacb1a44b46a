"""The thin line: a real stdio server behind a real daemon, called with a key over TCP."""

import sys

from tests.support.daemon import Daemon


def test_a_key_calls_a_tool_through_the_gateway(daemon: Daemon) -> None:
    """What the product is for."""
    made = daemon.connect("example", sys.executable, "-m", "meshd.example")
    assert (made["state"], made["tools"]) == ("ready", 3)
    key = daemon.add_key("laptop", "example/add")
    answer = daemon.rpc(
        "example", "tools/call", {"name": "add", "arguments": {"a": 2, "b": 3}}, key=key
    )
    assert answer.json()["result"]["content"][0]["text"] == "5"
    assert [row["tool"] for row in daemon.control("GET", "/v1/calls")] == ["add"]

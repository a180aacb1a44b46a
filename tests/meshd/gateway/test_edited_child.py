"""A stdio connection that is edited: what ran before is gone, and what was named instead serves."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.support import stdio_server
from tests.support.daemon import Answer, Daemon
from tests.support.processes import lives, zombies
from tests.support.wait import until


def call(daemon: Daemon, key: str, tool: str, **arguments: Any) -> Answer:
    asked = {"name": tool, "arguments": arguments}
    return daemon.rpc("edited", "tools/call", asked, key=key)


def value(answer: Answer) -> Any:
    return answer.json()["result"]["structuredContent"]["value"]


def test_an_edit_ends_the_child_and_its_children(daemon: Daemon) -> None:
    """Before it is answered; also one that ignores that it should end, in the middle of a call."""
    daemon.connect("edited", *stdio_server.command("stubborn"))
    key = daemon.add_key("client")
    before = value(call(daemon, key, "pids"))
    with ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(call, daemon, key, "hang", mark="a")
        until(lambda: "a" in value(call(daemon, key, "seen"))["hanging"])
        asked = {"command": stdio_server.command()}
        daemon.control("PATCH", "/v1/stdio-connections/edited", asked)
        assert not any(map(lives, before))
        error = json.loads(hanging.result(60).body.rpartition(b"data: ")[2])["error"]
        assert error["data"]["code"] == "upstream_failed"
    after, forked = value(call(daemon, key, "pids"))
    assert (after in before, forked) == (False, 0), "it runs the command that was named"
    assert lives(after)
    assert zombies(daemon.pid) == []

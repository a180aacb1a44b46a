"""A stdio server that takes long to start: nobody waits for what is known already."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import pytest

from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.raw_http import request
from tests.support.wait import until

GATED = """
import os, pathlib, sys, time
gate = pathlib.Path(sys.argv.pop(1))
while not gate.exists():
    time.sleep(0.01)
text = pathlib.Path(sys.argv[1]).read_text()
if gate.read_text():
    text = text.replace("tool_write", "tool_wrote")
sys.argv = sys.argv[1:]
exec(compile(text, sys.argv[0], "exec"), {"__name__": "__main__", "__file__": sys.argv[0]})
"""
"""The stand-in, which starts when a file exists; what is in the file makes it another version."""


class Cold:
    """A daemon with a connected server that runs no more, and starts when its gate is opened."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        self.daemon = daemon
        self.gate = folder / "gate"
        self.gate.touch()
        script = folder / "gated.py"
        script.write_text(GATED)
        python, *isolated, program = stdio_server.command()
        assert python == sys.executable
        daemon.connect("cold", python, *isolated, str(script), str(self.gate), program)
        self.key = daemon.add_key("client", "cold")
        self.welcome = self.ask("initialize")["result"]
        self.listed = self.ask("tools/list")["result"]
        self.gate.unlink()

    def ask(self, method: str, key: str = "") -> Any:
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {}}
        given = params if method == "initialize" else {}
        answer = self.daemon.rpc("cold", method, given, key=key or self.key)
        assert answer.status == 200
        return answer.json()

    def die(self) -> None:
        """The server ends; the daemon has noticed when this returns."""
        os.kill(self.child()["pid"], 9)
        until(lambda: self.child()["pid"] is None)

    def child(self) -> Any:
        """What `connection show` says of its process."""
        return self.daemon.control("GET", "/v1/connections/cold")["child"]


@pytest.fixture
def cold(daemon: Daemon, tmp_path: Path) -> Cold:
    return Cold(daemon, tmp_path)


def test_a_client_starts_while_the_server_does(cold: Cold) -> None:
    """What it asks at its own start is answered from memory, marked; then the server's own."""
    cold.die()
    assert cold.ask("initialize")["result"] == cold.welcome
    shown = cold.ask("tools/list")["result"]
    (mark,) = shown.pop("_meta")["meshctl/stale"]
    assert (mark["connection"], mark["reason"]) == ("cold", "starting")
    assert 0 <= mark["age_s"] < 60
    assert shown == cold.listed
    narrow = cold.daemon.add_key("narrow", "cold/echo")
    (tool,) = cold.ask("tools/list", narrow)["result"]["tools"]
    assert tool["name"] == "echo"
    assert cold.child()["state"] == "starting"
    cold.gate.touch()
    until(lambda: cold.child()["state"] == "running")
    assert cold.ask("tools/list")["result"] == cold.listed


def test_the_list_is_known_to_the_next_daemon(cold: Cold) -> None:
    """Clients keep their sessions over its restart, and ask no `initialize` before."""
    cold.daemon.stop()
    cold.daemon.start()
    shown = cold.ask("tools/list")["result"]
    assert shown["tools"] == cold.listed["tools"]
    assert shown["_meta"]["meshctl/stale"][0]["reason"] == "starting"
    listed = cold.daemon.control("GET", "/v1/tools")
    assert len(listed) == len(cold.listed["tools"])
    assert cold.daemon.control("GET", "/v1/connections/cold")["state"] == "ready"
    cold.gate.touch()
    until(lambda: cold.child()["state"] == "running")


def test_a_changed_list_is_learned_behind_the_stale_one(cold: Cold) -> None:
    """The next list, also one from memory, is the present one; open streams hear of it."""
    cold.die()
    assert cold.ask("tools/list")["result"]["tools"] == cold.listed["tools"]
    with opened_stream(cold) as stream:
        cold.gate.write_text("changed")
        lines = (line for line in iter(stream.readline, b"") if line.startswith(b"data:"))
        heard = json.loads(next(lines).removeprefix(b"data:"))
    assert heard == {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
    assert "wrote" in {tool["name"] for tool in cold.daemon.control("GET", "/v1/tools")}


@contextmanager
def opened_stream(cold: Cold) -> Iterator[BinaryIO]:
    """The stream of server messages, asked for; it opens when the server runs."""
    address = urlsplit(cold.daemon.url)
    head = ("Accept: text/event-stream", f"Authorization: Bearer {cold.key}")
    with create_connection((str(address.hostname), address.port or 0), timeout=15) as link:
        link.sendall(request("GET", "/mcp/cold", address.netloc, *head))
        with link.makefile("rb") as lines:
            yield lines


def test_a_start_that_fails_is_not_covered_up(cold: Cold) -> None:
    """While it is not tried again, the answer is its error, or a list that is marked with it."""
    cold.gate.symlink_to("/")  # exists, and cannot be read
    cold.die()
    cold.ask("initialize")
    until(lambda: cold.child()["state"] == "failing")
    assert cold.ask("initialize")["error"]["data"]["code"] == "upstream_failed"
    shown = cold.ask("tools/list")["result"]
    assert shown["tools"] == cold.listed["tools"]
    assert "exited with code 1" in shown["_meta"]["meshctl/stale"][0]["reason"]


def test_the_time_without_use_is_the_operators(cold: Cold) -> None:
    """Kept over a restart of the daemon; nonsense is refused."""

    def edit(idle: str) -> Any:
        return cold.daemon.ask("PATCH", "/v1/stdio-connections/cold", {"idle": idle}).json()

    cold.gate.touch()
    assert cold.daemon.control("GET", "/v1/connections/cold")["idle_s"] == 600
    assert edit("30m")["connection"]["idle_s"] == 1800
    assert edit("soon")["error"]["code"] == "bad_request"
    assert edit("never")["connection"]["idle_s"] == 0
    cold.daemon.kill()
    cold.daemon.start()
    shown = cold.daemon.control("GET", "/v1/connections/cold")
    assert (shown["idle_s"], shown["tools"]) == (0, len(cold.listed["tools"]))


def test_show_tells_of_the_process(cold: Cold) -> None:
    """Its group, age, memory, calls, and what became of the one before."""
    child = cold.child()
    assert (child["connection"], child["state"]) == ("cold", "running")
    assert child["pids"] == [child["pid"]]
    assert 1_000_000 < child["rss_bytes"] < 500_000_000
    assert child["age_s"] > 0
    assert (child["in_flight"], child["restarts"], child["last_exit"]) == (0, 0, None)
    (inside,) = cold.daemon.control("GET", "/v1/daemon")["children"]
    assert inside["pid"] == child["pid"]
    cold.gate.touch()
    cold.die()
    assert "SIGKILL" in cold.child()["last_exit"]
    cold.ask("prompts/list")
    assert cold.child()["restarts"] == 1

"""How a daemon ends: asked to, it exits 0 soon, whoever still hangs on to it."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.fault import silence
from tests.support.strict import STRICT
from tests.support.upstream import upstream
from tests.support.wait import until

SOON = 5.0
"""Seconds, with no child that has to be killed. What is under way gets one of them here."""


@contextmanager
def asking(address: str | tuple[str, int], head: str, body: str = "") -> Iterator[socket.socket]:
    """A request whose answer nobody waits for."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as wire:
        wire.settimeout(10)
        wire.connect(address)
        wire.sendall(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        yield wire


def call(tool: str) -> str:
    return (
        '{"jsonrpc":"2.0","id":1,"method":"tools/call",'
        f'"params":{{"name":"{tool}","arguments":{{"mark":"m"}}}}}}'
    )


def test_it_exits_soon_with_everything_open() -> None:
    """Both streams, both tails, a call that hangs in a child and one that hangs over HTTP."""
    with upstream() as server, ExitStack() as stack:
        daemon = Daemon.fresh().start(prefix=STRICT)
        stack.callback(daemon.remove)
        daemon.connect("stdio", *stdio_server.command())
        daemon.connect_http("http", server.url)
        key = daemon.add_key("client")
        host = daemon.url.removeprefix("http://")
        address = ("127.0.0.1", int(host.rpartition(":")[2]))
        server.replies["GET"] = server.replies["tools/call"] = silence
        common = f"HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}"
        post = f"{common}\r\nContent-Type: application/json"
        for line in ("GET /mcp/stdio", "GET /mcp/http"):
            stack.enter_context(asking(address, f"{line} {common}"))
        stack.enter_context(asking(address, f"POST /mcp/http {post}", call("echo")))
        stack.enter_context(asking(address, f"POST /mcp/stdio {post}", call("hang")))
        for path in ("calls", "events"):
            tail = f"GET /v1/tail/{path} HTTP/1.1\r\nHost: meshd"
            stack.enter_context(asking(daemon.socket, tail))
        stack.enter_context(socket.create_connection(address))  # and one that says nothing
        until(lambda: len(server.of("tools/call")) == len(server.of("GET")) == 1)

        def hanging() -> bool:
            answer = daemon.rpc("stdio", "tools/call", {"name": "seen", "arguments": {}}, key=key)
            return bool(answer.json()["result"]["structuredContent"]["value"]["hanging"])

        until(hanging)
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < SOON


def test_an_interrupt_ends_it() -> None:
    """With 0, and nothing on stderr; its socket is gone, so that nobody waits there."""
    made = Daemon.fresh().start()
    process = made.process
    assert process is not None
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=SOON)
    made.process = None
    assert (process.returncode, stderr) == (0, b"")
    assert not (made.home / "meshd.sock").exists()
    made.remove()


def test_a_call_ends_it() -> None:
    """The answer still arrives, with the pid to wait for."""
    made = Daemon.fresh().start()
    process = made.process
    assert process is not None
    assert made.control("POST", "/v1/daemon/stop") == {"pid": process.pid}
    assert process.wait(SOON) == 0
    assert process.stderr is not None
    process.stderr.close()
    made.process = None
    made.remove()


def test_what_was_recorded_last_is_written(daemon: Daemon) -> None:
    """A call just before the end is in the records after the next start."""
    daemon.connect("stdio", *stdio_server.command())
    key = daemon.add_key("client")
    params = {"name": "echo", "arguments": {"mark": "last"}}
    daemon.rpc("stdio", "tools/call", params, key=key)
    assert daemon.stop() == 0
    daemon.start()
    found = daemon.control("GET", "/v1/calls")
    assert [row["tool"] for row in found] == ["echo"]
    assert daemon.control("GET", "/v1/keys/client")["last_used_at"] is not None

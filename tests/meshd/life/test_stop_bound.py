"""A stop has one bound, whatever takes a request and never answers, and however many of them."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from meshd.main import CLOSING
from tests.support import stdio_server, virtuals
from tests.support.daemon import Daemon
from tests.support.fault import silence
from tests.support.strict import LIMITS, STRICT
from tests.support.unending import UNENDING
from tests.support.upstream import Upstream, upstream
from tests.support.virtuals import META, VERSION
from tests.support.wait import until

MANY = 8
"""Upstreams: what one of them takes for its end must not be added to what the others take."""
CALL = {"name": "echo", "arguments": {"mark": "m"}}
STATELESS = {"MCP-Protocol-Version": VERSION, "Mcp-Method": "tools/call", "Mcp-Name": "echo"}


@pytest.fixture
def servers() -> Iterator[list[Upstream]]:
    with ExitStack() as stack:
        yield [stack.enter_context(upstream()) for _ in range(MANY)]


def begun(
    daemon: Daemon, key: str, path: str, method: str = "", params: Any = None, **headers: str
) -> HTTPConnection:
    """A request whose answer nobody waits for; a stream without a `method`."""
    host = urlsplit(daemon.url).netloc
    link = HTTPConnection(host, timeout=60)
    sent = {
        "Authorization": f"Bearer {key}", "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream", **headers,
    }  # fmt: skip
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    link.request("POST" if method else "GET", f"/mcp{path}", body if method else None, sent)
    return link


def seconds_to_end(daemon: Daemon) -> float:
    began = time.monotonic()
    assert daemon.stop() == 0
    return time.monotonic() - began


@pytest.mark.parametrize("step", ["DELETE", "initialize", "tools/call", "tools/list", "GET"])
def test_upstreams_that_hang_hold_up_no_stop(servers: list[Upstream], step: str) -> None:
    """Each has a session of the daemon's to end, and clients of both eras that wait for it."""
    with ExitStack() as stack:
        daemon = Daemon.fresh().start(prefix=STRICT)
        stack.callback(daemon.remove)
        names = [f"s{number}" for number in range(MANY)]
        for name, server in zip(names, servers, strict=True):
            daemon.connect_http(name, server.url)
            server.replies[step] = silence
        key = daemon.add_key("client")
        for name in names:
            for link in (
                begun(daemon, key, f"/{name}", "tools/call", CALL),
                begun(daemon, key, f"/{name}", "tools/call", CALL | {"_meta": META}, **STATELESS),
                begun(daemon, key, f"/{name}", "tools/list", {}),
                begun(daemon, key, f"/{name}"),
            ):
                stack.callback(link.close)
        if step != "DELETE":
            until(lambda: all(server.of(step) for server in servers))
        assert seconds_to_end(daemon) < LIMITS.drain + CLOSING / 2


def test_nobody_waits_for_clients_that_went_away(daemon: Daemon) -> None:
    """They cannot come back to a daemon that stops; others would have half a minute."""
    daemon.connect("stdio", *stdio_server.command())
    virtuals.make(daemon, "team", "stdio")
    key = daemon.add_key("client")

    def hanging() -> int:
        answer = daemon.rpc("stdio", "tools/call", {"name": "seen", "arguments": {}}, key=key)
        return len(answer.json()["result"]["structuredContent"]["value"]["hanging"])

    links = [
        begun(daemon, key, f"/{path}", "tools/call", {"name": tool, "arguments": {"mark": path}})
        for path, tool in (("stdio", "hang"), ("team", "stdio_hang"))
    ]
    until(lambda: hanging() == len(links))
    for link in links:
        link.close()
    assert seconds_to_end(daemon) < CLOSING
    daemon.start()


def test_what_never_closes_is_cut_off() -> None:
    """The process ends all the same, and its log says what hung."""
    made = Daemon.fresh().start(prefix=UNENDING)
    assert made.stop() == 1
    log = (made.home / "logs" / "meshd.log").read_text("utf-8")
    assert "the end is cut off; under way were: " in log
    made.remove()

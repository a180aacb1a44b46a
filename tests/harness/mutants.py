"""S24: damaged bodies on every path that takes one: typed answers, no 5xx, and flat memory."""

import hmac
import http.client
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from urllib.parse import urlsplit

from meshd.protocol.envelope import STATELESS_CODES
from meshd.wire.errors import KINDS
from tests.harness.outcome import Outcome, percentile
from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.mutant import mutant
from tests.support.upstream import upstream
from tests.support.virtuals import VERSION, attach, make

MIB = 1024 * 1024
PATHS = ("/mcp/stdio", "/mcp/http", "/mcp", "/mcp/both", "/mcp/self", "/v1/keys", "/v1/connections")
STATELESS = {"MCP-Protocol-Version": VERSION, "Mcp-Method": "tools/call", "Mcp-Name": "echo"}
SECRET = "a secret of some length"
PARSING = frozenset({-32700, -32600, -32601, -32602})
GROWTH = 20
"""MiB by which the daemon may grow."""
WARM = 200
"""Bodies before memory is read first: what every first request fills is no growth."""


def run(seed: int, *, full: bool) -> Outcome:
    """10,000 bodies; the short form 500."""
    found, daemon, statuses, times = Outcome(), Daemon.fresh(), Counter[int](), list[float]()
    try:
        with upstream() as server:
            daemon.start()
            daemon.connect("stdio", *stdio_server.command())
            daemon.connect_http("http", server.url)
            make(daemon, "both")
            for child in ("stdio", "http"):
                attach(daemon, "both", child)
            key = daemon.add_key(
                "sender", "stdio", "http", "both", "self", "self/key.add", "self/event.publish*"
            )
            with _streaming(daemon, key) as stream:
                places = _places(daemon, stream)
                _send(daemon, key, places, range(seed, seed + WARM), found, Counter(), [])
                before = daemon.control("GET", "/v1/daemon")["rss_bytes"]
                seeds = range(seed + WARM, seed + WARM + (10_000 if full else 500))
                _send(daemon, key, places, seeds, found, statuses, times)
                grown = (daemon.control("GET", "/v1/daemon")["rss_bytes"] - before) / MIB
            found.expect(grown <= GROWTH, f"the daemon grew by {grown:.1f} MiB")
            found.numbers |= {
                "statuses": dict(sorted(statuses.items())), "RSS growth": f"{grown:.1f} MiB",
                "p99": f"{percentile(times, 0.99) * 1000:.1f} ms",
            }  # fmt: skip
    finally:
        daemon.remove()
    return found


def _places(daemon: Daemon, stream: str) -> list[tuple[str, dict[str, str]]]:
    """Every path that takes a body, and the headers that it is reached with."""
    asked = {"name": "hook", "signature": "github", "signing": SECRET}
    hook = daemon.control("POST", "/v1/webhooks", asked)["url"].removeprefix(daemon.url)
    return [
        *((path, {}) for path in (*PATHS, stream)),
        *((path, STATELESS) for path in ("/mcp/self", "/mcp/http", "/mcp")),
        ("/events/default", {"Content-Type": "application/cloudevents+json"}),
        ("/events/default", {"ce-specversion": "1.0", "ce-type": "a.b", "ce-source": "/s"}),
        (hook, {"X-GitHub-Event": "push"}),
    ]


@contextmanager
def _streaming(daemon: Daemon, key: str) -> Iterator[str]:
    """The path that a stream of HTTP+SSE names for its messages; what it says is read away."""
    parts = urlsplit(daemon.url)
    headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
    with closing(http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)) as link:
        link.request("GET", "/mcp/stdio/sse", headers=headers)
        wire, answer = link.sock, link.getresponse()
        assert answer.readline() == b"event: endpoint\n"
        path = answer.readline().decode().removeprefix("data: ").strip()
        reading = threading.Thread(target=_read_away, args=(answer,))
        reading.start()
        try:
            yield path
        finally:
            wire.shutdown(socket.SHUT_RDWR)
            reading.join()
            answer.close()


def _read_away(answer: http.client.HTTPResponse) -> None:
    with suppress(OSError, http.client.HTTPException):
        while answer.read1():
            pass


def _send(
    daemon: Daemon, key: str, places: list[tuple[str, dict[str, str]]], seeds: range,
    found: Outcome, statuses: Counter[int], times: list[float],
) -> None:  # fmt: skip
    parts = urlsplit(daemon.url)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with closing(http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)) as link:
        for number in seeds:
            path, more = places[number % len(places)]
            body = mutant(number)
            signature = hmac.new(SECRET.encode(), body, "sha256").hexdigest()
            more = more | {"X-Hub-Signature-256": f"sha256={signature}"}
            began = time.monotonic()
            link.request("POST", path, body, headers | more)
            response = link.getresponse()
            answer = response.read()
            times.append(time.monotonic() - began)
            statuses[response.status] += 1
            flaw = _flaw(response.status, answer)
            found.expect(not flaw, f"body {number} on {path}: {flaw}")


def _flaw(status: int, answer: bytes) -> str:
    """What is wrong with an answer: a failure of ours, or an error without a type."""
    if status >= 500:
        return f"{status} {answer!r:.200}"
    if status < 400:
        return ""
    error = json.loads(answer)["error"]
    typed = error["code"] in KINDS or error["code"] in STATELESS_CODES | PARSING
    return "" if typed and error["message"] else f"{status} without a type: {answer!r:.200}"

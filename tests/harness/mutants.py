"""S24: damaged bodies on every path that takes one: typed answers, no 5xx, and flat memory."""

import http.client
import json
import time
from collections import Counter
from contextlib import closing
from urllib.parse import urlsplit

from meshd.wire.errors import KINDS
from tests.harness.outcome import Outcome, percentile
from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.mutant import mutant
from tests.support.upstream import upstream

MIB = 1024 * 1024
PATHS = (
    "/mcp/stdio", "/mcp/http", "/mcp", "/mcp/both", "/mcp/self", "/v1/keys", "/v1/connections",
)  # fmt: skip
"""And the path of a webhook, of a publisher, and that which a stream of HTTP+SSE names."""
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
            key = daemon.add_key("sender", "stdio", "http", "self", "self/key.add")
            _send(daemon, key, range(seed, seed + WARM), found, Counter(), [])
            before = daemon.control("GET", "/v1/daemon")["rss_bytes"]
            seeds = range(seed + WARM, seed + WARM + (10_000 if full else 500))
            _send(daemon, key, seeds, found, statuses, times)
            grown = (daemon.control("GET", "/v1/daemon")["rss_bytes"] - before) / MIB
            found.expect(grown <= GROWTH, f"the daemon grew by {grown:.1f} MiB")
            found.numbers |= {
                "statuses": dict(sorted(statuses.items())), "RSS growth": f"{grown:.1f} MiB",
                "p99": f"{percentile(times, 0.99) * 1000:.1f} ms",
            }  # fmt: skip
    finally:
        daemon.remove()
    return found


def _send(
    daemon: Daemon, key: str, seeds: range, found: Outcome,
    statuses: Counter[int], times: list[float],
) -> None:  # fmt: skip
    parts = urlsplit(daemon.url)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with closing(http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)) as link:
        for number in seeds:
            began = time.monotonic()
            link.request("POST", PATHS[number % len(PATHS)], mutant(number), headers)
            response = link.getresponse()
            answer = response.read()
            times.append(time.monotonic() - began)
            statuses[response.status] += 1
            flaw = _flaw(response.status, answer)
            found.expect(not flaw, f"body {number} on {PATHS[number % len(PATHS)]}: {flaw}")


def _flaw(status: int, answer: bytes) -> str:
    """What is wrong with an answer: a failure of ours, or an error without a type."""
    if status >= 500:
        return f"{status} {answer!r:.200}"
    if status < 400:
        return ""
    error = json.loads(answer)["error"]
    typed = error["code"] in KINDS or error["code"] in {-32700, -32600, -32601, -32602}
    return "" if typed and error["message"] else f"{status} without a type: {answer!r:.200}"

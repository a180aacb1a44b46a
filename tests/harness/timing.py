"""S07: whether the time of an answer tells what its text does not.

Two requests that are answered alike are sent in a random order over one connection: for what
another org has and what nobody has, for keys that were and keys that never were. The medians must
be nearer than a millisecond. Beside the difference stands its 95 % interval (by resampling), and
first of all the same request under two names: what this machine makes of no difference.
"""

import http.client
import json
import random
import time
from collections.abc import Mapping
from contextlib import closing
from statistics import median
from urllib.parse import urlsplit

from tests.harness.outcome import Outcome, percentile
from tests.support.daemon import Daemon
from tests.support.tenants import Tenant

NEAR = 0.001
"""Seconds between medians that tell nothing over a network."""
RESAMPLED = 400
WARM = 50


class Request:
    """One that can be sent again and again; how long each answer took."""

    def __init__(self, method: str, path: str, key: str, body: object = None) -> None:
        self.line = (method, path)
        self.body = None if body is None else json.dumps(body)
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.times: list[float] = []
        self.said = b""

    def send(self, link: http.client.HTTPConnection) -> None:
        begun = time.perf_counter()
        link.request(*self.line, self.body, self.headers)
        response = link.getresponse()
        self.said = b"%d %b" % (response.status, response.read())
        self.times.append(time.perf_counter() - begun)


def run(seed: int, *, full: bool) -> Outcome:
    """2,000 samples of each; the short form 200."""
    found, daemon, choice = Outcome(), Daemon.fresh(), random.Random(seed)
    try:
        daemon.start()
        for name, (one, other) in _pairs(daemon).items():
            _compare(name, one, other, daemon.url, 2000 if full else 200, choice, found)
    finally:
        daemon.remove()
    return found


def _pairs(daemon: Daemon) -> Mapping[str, tuple[Request, Request]]:
    mine, theirs = Tenant.made(daemon, "alpha"), Tenant.made(daemon, "beta")
    for org in (mine, theirs):
        org.connect(org.name)
        org.add_key("laptop")
    key = mine.add_key("asks", "*", "self")
    caller = theirs.add_key("calls", "*")
    ping = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo"}}
    daemon.rpc("beta", "tools/call", ping["params"], key=caller)
    ids = {
        "connection": theirs.control("GET", "/v1/connections")[0]["id"],
        "key": theirs.control("GET", "/v1/keys")[0]["id"],
        "call": theirs.control("GET", "/v1/calls")[0]["id"],
    }
    revoked = mine.add_key("revoked")
    mine.control("DELETE", "/v1/keys/revoked")
    near, far = key[:-1] + ("A" if key[-1] != "A" else "B"), _other(key)
    return {
        "the same twice": (Request("GET", "/v1/keys/nothing", key), Request("GET", "/v1/keys/nothing", key)),
        **{
            f"{noun} of another org, or of none": (
                Request("GET", f"/v1/{noun}s/{ident}", key),
                Request("GET", f"/v1/{noun}s/{_other(ident)}", key),
            )
            for noun, ident in ids.items()
        },
        "name of another org at /mcp, or of none": (
            Request("POST", "/mcp/beta", key, ping), Request("POST", "/mcp/zeta", key, ping),
        ),
        "key revoked, or never issued": (
            Request("GET", "/v1/keys", revoked), Request("GET", "/v1/keys", far),
        ),
        "key wrong in its last letter, or in all": (
            Request("GET", "/v1/keys", near), Request("GET", "/v1/keys", far),
        ),
    }  # fmt: skip


def _other(text: str) -> str:
    """Something of the same shape that nobody ever had."""
    head, mark, rest = text.partition("_")
    return head + mark + rest[::-1]


def _compare(
    name: str, one: Request, other: Request, url: str, samples: int, choice: random.Random,
    found: Outcome,
) -> None:  # fmt: skip
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)) as link:
        for request in [one, other] * WARM:
            request.send(link)
        one.times, other.times = [], []
        turns = [one, other] * samples
        choice.shuffle(turns)
        for request in turns:
            request.send(link)
    apart = median(one.times) - median(other.times)
    apart_by_chance = [
        median(choice.choices(one.times, k=samples))
        - median(choice.choices(other.times, k=samples))
        for _ in range(RESAMPLED)
    ]
    low, high = percentile(apart_by_chance, 0.025), percentile(apart_by_chance, 0.975)
    found.numbers[name] = (
        f"{median(one.times) * 1e6:.0f} and {median(other.times) * 1e6:.0f} µs,"
        f" apart {apart * 1e6:+.0f} ({low * 1e6:+.0f} to {high * 1e6:+.0f})"
    )
    found.expect(abs(apart) < NEAR, f"{name}: medians are {apart * 1e3:+.2f} ms apart")
    alike = one.said.replace(_last(one), b"") == other.said.replace(_last(other), b"")
    found.expect(alike, f"{name}: {one.said!r} and {other.said!r}")


def _last(request: Request) -> bytes:
    """What was asked for, which an answer may name."""
    return request.line[1].rpartition("/")[2].encode()

"""S27: idle and half-open connections without end, and a client with a key among them."""

import resource
import socket
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

from meshd.core.http_limits import Limits
from tests.harness.outcome import Outcome, percentile
from tests.support import stdio_server
from tests.support.daemon import Daemon

CALLS = 300
CONTROL = 0.5
"""Seconds in which the socket answers during the flood."""


def run(seed: int, *, full: bool) -> Outcome:
    """2,000 idle and 500 half-open connections; the short form 300 and 100.

    The seed changes nothing here.
    """
    found, daemon = Outcome(), Daemon.fresh()
    idle, half = (2_000, 500) if full else (300, 100)
    _allow_files(idle + half + 200)
    try:
        daemon.start()
        daemon.connect("stand-in", *stdio_server.command())
        key = daemon.add_key("caller")
        _calls(daemon, key, 20)
        calm = _calls(daemon, key, CALLS if full else 50)
        files = _open_files(daemon)
        with ExitStack() as stack:
            for number in range(idle + half):
                wire = stack.enter_context(closing(_dial(daemon)))
                if number >= idle:
                    with suppress(ConnectionError):
                        wire.sendall(b"POST /mcp/stand-in HTTP/1.1\r\nHost: ")
            flooded = _calls(daemon, key, CALLS if full else 50)
            began = time.monotonic()
            found.expect(daemon.ask("GET", "/v1/status").status == 200, "the socket is silent")
            control = time.monotonic() - began
            most = _open_files(daemon)
        soft = _file_limit(daemon)
        cap = files + Limits().connections + 50
        found.expect(None not in flooded, "a call with a key failed")
        found.expect(most <= min(cap, soft * 0.8), f"{most} open files of {soft}")
        found.expect(not full or control <= CONTROL, f"the socket answered after {control:.2f} s")
        before, during = _p99(calm), _p99(flooded)
        found.numbers |= {
            "idle and half-open": f"{idle} + {half}",
            "p99 before, during": f"{before * 1000:.1f} ms, {during * 1000:.1f} ms"
            f" ({during / before:.1f}x)",
            "files before, during, limit": f"{files}, {most}, {soft}",
            "control call during": f"{control * 1000:.0f} ms",
        }
    finally:
        daemon.remove()
    return found


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def _dial(daemon: Daemon) -> socket.socket:
    parts = urlsplit(daemon.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=20)


def _calls(daemon: Daemon, key: str, count: int) -> list[float | None]:
    """How long each took, or None for one that failed."""
    took: list[float | None] = []
    params = {"name": "echo", "arguments": {}}
    for _ in range(count):
        began = time.monotonic()
        answer = daemon.rpc("stand-in", "tools/call", params, key=key)
        took.append(time.monotonic() - began if answer.status == 200 else None)
    return took


def _p99(took: list[float | None]) -> float:
    return percentile([one for one in took if one is not None], 0.99)


def _open_files(daemon: Daemon) -> int:
    return len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))


def _file_limit(daemon: Daemon) -> int:
    rows = Path(f"/proc/{daemon.pid}/limits").read_text().splitlines()
    return int(next(row.split()[3] for row in rows if row.startswith("Max open files")))

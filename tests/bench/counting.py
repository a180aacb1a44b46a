"""An exact number of calls through a fresh daemon: whether all counts agree, and what it weighs."""

import time
from dataclasses import dataclass
from typing import Any

from tests.bench import load
from tests.bench.client import Client
from tests.bench.traffic import came
from tests.support.daemon import Daemon

CALLERS = 16
PATIENCE = 30.0
"""Seconds that the records may take to be written after the last call."""


@dataclass(frozen=True)
class Counts:
    """Every number but the sizes should be `calls`, or 0 where something went wrong or was lost."""

    calls: int
    errors: int
    upstream: int
    records_written: int
    records_dropped: int
    rss_idle_mb: float
    rss_after_mb: float


def counts(daemon: Daemon, client: Client, upstream: str, calls: int) -> Counts:
    """Make so many calls, 16 at a time."""
    client.once(client.call())
    before, reached = _written(daemon, 1), came(upstream, "tools/call")
    done = load.exactly(client.call(), CALLERS, calls)
    after = _written(daemon, before["records_written"] + calls)
    return Counts(
        calls=done.calls,
        errors=done.errors,
        upstream=came(upstream, "tools/call") - reached,
        records_written=after["records_written"] - before["records_written"],
        records_dropped=after["records_dropped"],
        rss_idle_mb=before["rss_bytes"] / 1e6,
        rss_after_mb=after["rss_bytes"] / 1e6,
    )


def _written(daemon: Daemon, number: int) -> dict[str, Any]:
    """The daemon's inside once it wrote so many records, or when it takes too long."""
    end = time.monotonic() + PATIENCE
    while True:
        shown: dict[str, Any] = daemon.control("GET", "/v1/daemon")
        if shown["records_written"] >= number or time.monotonic() > end:
            return shown
        time.sleep(0.02)

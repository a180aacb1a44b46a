"""`python -m tests.bench.steady`: whether the daemon's memory stays flat under calls and sessions.

RSS is read after each part of the calls, and of the sessions that are opened, used once and left
behind. What counts is whether it still grows at the end: the first part warms everything up.
"""

import argparse
import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench import load, shapes
from tests.bench.client import Client
from tests.bench.counting import CALLERS
from tests.bench.server import meshd, started
from tests.support.daemon import Daemon

PARTS = 10


@dataclass(frozen=True)
class Step:
    """What was done in all until then, and what the daemon weighs."""

    what: str
    done: int
    errors: int
    rss_mb: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m tests.bench.steady", description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--sessions", type=int, default=10_000)
    asked = parser.parse_args()
    print("what               done  errors   RSS MB")
    for step in steps(asked.calls, asked.sessions):
        print(f"{step.what:12}{step.done:>11}{step.errors:>8}{step.rss_mb:>9.1f}", flush=True)


def steps(calls: int, sessions: int) -> Iterator[Step]:
    """Every part as it is done."""
    with started("upstream") as upstream, meshd() as daemon:
        daemon.connect_http("bench", upstream.url)
        client = Client(f"{daemon.url}/mcp/bench", daemon.add_key("bench", "bench"))
        yield Step("idle", 0, 0, _rss(daemon))
        for part in range(1, PARTS + 1):
            done = load.exactly(client.call(), CALLERS, calls // PARTS)
            yield Step("calls", part * (calls // PARTS), done.errors, _rss(daemon))
        for part in range(1, PARTS + 1):
            errors = asyncio.run(_abandon(client, sessions // PARTS))
            yield Step("sessions", part * (sessions // PARTS), errors, _rss(daemon))


async def _abandon(client: Client, sessions: int) -> int:
    """Open so many sessions and leave them; how many went wrong."""
    left, errors = iter(range(sessions)), 0

    async def caller() -> None:
        nonlocal errors
        link = await load.open_link(client.hello)
        for _ in left:
            errors += not await shapes.session(link, client, close=False)
        link[1].close()

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return errors


def _rss(daemon: Daemon) -> float:
    shown: int = daemon.control("GET", "/v1/daemon")["rss_bytes"]
    return shown / 1e6


if __name__ == "__main__":
    main()

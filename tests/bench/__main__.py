"""`python -m tests.bench`: what calls through meshd cost, beside what they are compared with.

The ways to the same upstream are: direct; an aiohttp forwarder without any rule, the floor in
Python; nginx as a blind proxy, the floor in C, where it is installed; and meshd with a key, its
policy and records. CPU is read from /proc and left out where there is none. Figures in one run
may be compared with each other; those of two runs on a busy machine may not.
"""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import msgspec

from tests.bench import cold, counting, load, nginx, shapes, stdio, traffic
from tests.bench.client import Client
from tests.bench.report import MESHD, Report, setting, text
from tests.bench.server import Started, meshd, started
from tests.bench.traffic import Way


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m tests.bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2, help="length of a round")
    parser.add_argument("--rounds", type=int, default=5, help="the median of so many is shown")
    parser.add_argument("--calls", type=int, default=20_000, help="calls before RSS is read again")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    asked = parser.parse_args()
    report = measured(asked.seconds, asked.rounds, asked.calls)
    print(msgspec.json.encode(report).decode() if asked.json else text(report))


def measured(seconds: float, rounds: int, calls: int) -> Report:
    """Run everything, one after the other."""
    with started("upstream") as upstream, meshd() as daemon:
        daemon.connect_http("bench", upstream.url)
        daemon.connect("child", *stdio.CHILD)
        key = daemon.add_key("bench", "bench", "child")
        through = Client(f"{daemon.url}/mcp/bench", key)
        counted = counting.counts(daemon, through, upstream.url, calls)
        child = Client(f"{daemon.url}/mcp/child", key)
        loop = daemon.control("GET", "/v1/daemon")["loop"]
        with ExitStack() as stack:
            ways = [
                *_ways(upstream, stack),
                _way(MESHD, daemon.pid, through),
            ]
            rows = traffic.rows(ways, upstream.url, seconds, rounds)
            lists = {}
            for tools in shapes.LISTS:
                long = stack.enter_context(started("upstream", "--tools", str(tools)))
                daemon.connect_http(f"list-{tools}", long.url)
                its_key = daemon.add_key(f"list-{tools}", f"list-{tools}")
                mine = Client(f"{daemon.url}/mcp/list-{tools}", its_key)
                lists[tools] = (Client(long.url), mine)
            shaped = shapes.rows(Client(upstream.url), through, lists, seconds, rounds)
        return Report(
            setting(loop, load.engine(seconds), seconds, rounds),
            rows,
            counted,
            shaped,
            stdio.rows(child.call(), daemon.pid, seconds, rounds),
            replace(
                cold.first_call(daemon, "bench", key, rounds),
                what="meshd, until its first call is answered",
            ),
            cold.commands(daemon, rounds),
        )


def _ways(upstream: Started, stack: ExitStack) -> Iterator[Way]:
    """Every way but meshd's."""
    yield replace(_way("direct", 0, Client(upstream.url)), pid=None)
    forwarder = stack.enter_context(started("forwarder", upstream.url))
    yield _way("forwarder", forwarder.pid, Client(forwarder.url))
    if nginx.installed():
        blind = stack.enter_context(nginx.proxy(upstream.url))
        yield _way("nginx", blind.pid, Client(blind.url))


def _way(name: str, pid: int, client: Client) -> Way:
    return Way(name, pid, client.call(), client.list())


if __name__ == "__main__":
    main()

"""`python -m tests.bench.events`: what events cost, on SQLite and on Postgres.

Durable publishes a second from 16 publishers over the API, singly and in batches, beside a handler of
aiohttp that only stores the row; from publish to delivery when idle; deliveries a second to a subscriber that takes
batches; matching 1,000 subscriptions. `--procrastinate PYTHON` names an interpreter that has that
package and adds its deferred jobs a second on the same Postgres. The test server of Postgres does
not sync; `--dsn` names one that does.
"""

import argparse
import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from urllib.request import Request, urlopen
from uuid import uuid4

import asyncpg

from meshd.bus.match import read_filters
from meshd.services.fan_out import FanOut
from meshd.services.principal import EVERYTHING, Principal
from meshd.services.subscription_rows import SubscriptionRow
from tests.bench import load
from tests.bench.client import Asked
from tests.bench.measure import Meter
from tests.bench.server import started
from tests.support.daemon import Daemon
from tests.support.postgres import running

PUBLISHERS = 16
BODY = json.dumps({"type": "order.made", "data": {"no": 17, "text": "a hundred bytes or so" * 4}})
IN_BATCH = 20
TASK = Path(__file__).with_name("procrastinate_task.py")
HEADERS = {"Content-Type": "application/json"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m tests.bench.events", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=5, help="the median of so many is shown")
    parser.add_argument("--backlog", type=int, default=4000, help="events that are delivered")
    parser.add_argument("--deliveries", action="store_true", help="leave publishing out")
    parser.add_argument("--dsn", help="a Postgres server to use")
    parser.add_argument("--only", choices=("sqlite", "postgres"))
    parser.add_argument("--procrastinate", metavar="PYTHON")
    asked = parser.parse_args()
    for kind in (asked.only,) if asked.only else ("sqlite", "postgres"):
        with ExitStack() as stack:
            dsn = None
            if kind == "postgres":
                server = stack.enter_context(running(uuid4().hex)) if not asked.dsn else None
                dsn = asked.dsn or stack.enter_context(server.schema())
            floor = stack.enter_context(started("published"))
            daemon = stack.enter_context(_daemon(dsn))
            if not asked.deliveries:
                _publishes(daemon, floor.url, floor.pid, asked.seconds, asked.rounds, kind)
            _latency(daemon, kind)
            _deliveries(daemon, asked.backlog, asked.rounds, kind, dsn)
            if kind == "postgres" and asked.procrastinate:
                _beside(asked.procrastinate, dsn)
    matched = _matching(1000)
    print(f"matching 1,000 subscriptions: {matched:.3f} ms (at most 1 ms)")


@contextmanager
def _daemon(dsn: str | None) -> Iterator[Daemon]:
    env = {"MESHCTL_PUBLISH_RATE": "1000000"} | ({"DATABASE_URL": dsn} if dsn else {})
    daemon = Daemon.fresh(**env)
    try:
        yield daemon.start(program=True)
    finally:
        daemon.remove()


def _publishes(
    daemon: Daemon, floor: str, pid: int, seconds: float, rounds: int, kind: str
) -> None:
    key = daemon.add_key("bench", "self/event.publish")
    headers = HEADERS | {"Authorization": f"Bearer {key}"}
    ways = {
        "meshd": (Asked(f"{daemon.url}/v1/events", headers, BODY.encode(), b'"evt_'), daemon.pid),
        "meshd /events": (
            Asked(
                f"{daemon.url}/events/default",
                headers | {"ce-specversion": "1.0", "ce-type": "order.made"}, BODY.encode(),
                b'"evt_',
            ),
            daemon.pid,
        ),
        f"meshd /events, batches of {IN_BATCH}": (
            Asked(
                f"{daemon.url}/events/default",
                headers | {"Content-Type": "application/cloudevents-batch+json"},
                json.dumps([{"specversion": "1.0", **json.loads(BODY)}] * IN_BATCH).encode(),
                b'"evt_',
            ),
            daemon.pid,
        ),
        "floor": (Asked(floor, headers, BODY.encode(), b'"id"'), pid),
    }  # fmt: skip
    rates: dict[str, list[float]] = {way: [] for way in ways}
    costs: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, (one, process) in ways.items():
            meter = Meter(process)
            done = load.for_seconds(one, PUBLISHERS, seconds)
            assert not done.errors, f"{way}: {done.errors} errors"
            events = IN_BATCH if "batches" in way else 1
            rates[way].append(done.rate * events)
            costs[way].append(meter.ms_per(done.calls * events) or 0)
    base = median(rates["floor"])
    for way, found in rates.items():
        rate = median(found)
        print(
            f"{kind}: publishes/s, {PUBLISHERS} publishers, {way}: {rate:.0f}"
            f" ({rate / base:.0%} of the floor, {median(costs[way]):.3f} ms CPU each)",
            flush=True,
        )


def _latency(daemon: Daemon, kind: str, times: int = 100) -> None:
    """From a publish's start to the receiver's having it, one at a time."""
    key = daemon.add_key("idle", "self/event.publish")
    one = Asked(
        f"{daemon.url}/v1/events", HEADERS | {"Authorization": f"Bearer {key}"},
        b'{"type":"lat.one"}', b'"evt_',
    )  # fmt: skip
    with started("receiving") as receiver:
        here = receiver.url.removesuffix("mcp")
        body = {"types": ["lat.*"], "webhook": here, "name": "latency"}
        daemon.control("POST", "/v1/webhook-subscriptions", body)
        waits = asyncio.run(_waits(one, Asked(f"{here}next", {}, b"", b""), times))
        daemon.control("DELETE", "/v1/subscriptions/latency")
    print(
        f"{kind}: publish to delivery, idle, p50: {median(waits):.1f} ms (at most 20)", flush=True
    )


async def _waits(one: Asked, following: Asked, times: int) -> list[float]:
    """Milliseconds of each."""
    publisher, watcher = await load.open_link(one), await load.open_link(following)
    waits = []
    for _ in range(times):
        came = asyncio.create_task(load.exchange(watcher, following.sent("GET")))
        await asyncio.sleep(0.02)  # what ended before is written, and the watcher waits
        began = time.perf_counter()
        await load.exchange(publisher, one.sent())
        await came
        waits.append((time.perf_counter() - began) * 1000)
    publisher[1].close()
    watcher[1].close()
    return waits


def _deliveries(daemon: Daemon, count: int, rounds: int, kind: str, dsn: str | None) -> None:
    """To a subscriber of batches that keeps its first answer back until all are published.

    Alone: from its answering to the last one's being written. Together: beside their publishing.
    """
    key = daemon.add_key("filler", "self/event.publish")
    one = Asked(
        f"{daemon.url}/v1/events", HEADERS | {"Authorization": f"Bearer {key}"},
        b'{"type":"batch.one","data":1}', b'"evt_',
    )  # fmt: skip
    with started("receiving") as target:
        daemon.connect_http("batches", target.url)
        body = {"types": ["batch.*"], "connection": "batches", "name": "batches"}
        daemon.control("POST", "/v1/subscriptions", body)
        found: dict[str, list[tuple[float, float]]] = {"alone": [], "while published": []}
        _drained(daemon, target.url, one, count, alone=False)
        if dsn is not None:
            asyncio.run(_analyze(dsn))
        for _ in range(rounds):
            for way, all_of_them in found.items():
                all_of_them.append(_drained(daemon, target.url, one, count, alone=way == "alone"))
    for way, all_of_them in found.items():
        rate, cost = (median(column) for column in zip(*all_of_them, strict=True))
        budget = " (at least 2,000)" if way == "alone" else ""
        print(
            f"{kind}: delivered in batches and written, each second, {way}: {rate:.0f}{budget},"
            f" {cost:.3f} ms CPU each",
            flush=True,
        )


def _drained(
    daemon: Daemon, target: str, one: Asked, count: int, *, alone: bool
) -> tuple[float, float]:
    """Deliveries a second, and the milliseconds of CPU for each."""
    before = _came(target)
    if alone:
        urlopen(Request(target, method="PUT"))
    meter, began = Meter(daemon.pid), time.perf_counter()
    done = load.exactly(one, PUBLISHERS, count)
    assert done.calls == count
    if alone:
        meter, began = Meter(daemon.pid), time.perf_counter()
        urlopen(Request(target, method="DELETE"))
    while _came(target) < before + count or _waiting(daemon):
        time.sleep(0.02)
    return count / (time.perf_counter() - began), meter.ms_per(count) or 0


async def _analyze(dsn: str) -> None:
    """What a server does by itself within a minute: plans made for empty tables are of no use."""
    link = await asyncpg.connect(dsn)
    try:
        await link.execute("ANALYZE")
    finally:
        await link.close()


def _came(target: str) -> int:
    with urlopen(target) as answer:
        return int(json.load(answer)["came"])


def _waiting(daemon: Daemon) -> int:
    states = daemon.control("GET", "/v1/event-stats")["states"]
    return int(states["ready"] + states["inflight"])


def _matching(count: int, times: int = 200) -> float:
    """Milliseconds to match an event with so many subscriptions, of which three hear it."""
    who = Principal("usr_1", "me", "local", "org_1", "usr_1", EVERYTHING)
    rows = {}
    for number in range(count):
        filters = [{"prefix": {"subject": f"s{number % 300}-"}}]
        made = SubscriptionRow(
            id=f"sub_{number}", org="org_1", name=f"s{number}", types=("order.*", "pay.*"),
            publisher=None, filter=json.dumps(filters), matches=read_filters(filters),
            kind="webhook", target={}, url=None, secret=None, maker=who, state="active",
            reason=None, created_at=0, changed_at=None, ordered_by=None, old_secret=None,
            old_until=None, edition=0,
        )  # fmt: skip
        rows[made.id] = made
    fan_out = FanOut(lambda: rows)
    event = {"id": "1", "source": "/s", "type": "order.made", "subject": "s17-x", "time": 0}
    event |= {"data": "1"}
    assert len(fan_out.deliveries("org_1", event)) == 1 + (count - 18) // 300
    began = time.perf_counter()
    for _ in range(times):
        fan_out.deliveries("org_1", event)
    return (time.perf_counter() - began) * 1000 / times


def _beside(python: str, dsn: str | None) -> None:
    done = subprocess.run([python, TASK, dsn or ""], capture_output=True, text=True)
    if done.returncode:
        why = done.stderr.strip().rpartition("\n")[2]
        print(f"postgres: nothing beside it, {python} cannot run procrastinate: {why}")
        return
    print(f"postgres: {done.stdout.strip()}")


if __name__ == "__main__":
    main()

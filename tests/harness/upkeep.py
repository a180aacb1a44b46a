"""What a daemon costs that has nothing to do, and a database in which things come and go.

Days go by on a clock of the test's own: each brings as many events as the one before, and
housekeeping takes what is older than retention. Idle is a daemon with subscriptions and schedules.
"""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
from msgspec import Raw

from meshd.core.clock import MICROSECONDS
from meshd.services.sweeping import Retention
from meshd.wire.event import EventPublish
from tests.bench.measure import cpu_seconds
from tests.harness.outcome import Outcome
from tests.support.bus import Bus
from tests.support.daemon import Daemon
from tests.support.floors import floors
from tests.support.postgres import running
from tests.support.sweeping import sweeper

DAY = 24 * 3600
KEPT = 3
"""Days that events are kept."""
GROWTH = 1.1
"""How much larger a database may be than when it held all that is kept for the first time."""
IDLE = {False: 2.0, True: 1.0}
"""Percent of one core, in the short form, whose time is short beside the clock's ticks, and full."""
SETTLED = 2.0
"""Seconds after which what a start does is done."""


def run(seed: int, *, full: bool) -> Outcome:
    """60 seconds and 30 days of 2,000 events on both databases; 4 seconds and 8 days of 100 on SQLite."""
    found = Outcome()
    seconds, days, events = (60.0, 30, 2000) if full else (4.0, 8, 100)
    for kind in ("sqlite", "postgres") if full else ("sqlite",):
        with _database(kind) as dsn:
            sizes = asyncio.run(_sizes(dsn, days, events))
        first, largest = sizes[KEPT + 1], max(sizes[KEPT + 1 :])
        grown = f"{first >> 10} KiB when all that is kept is there, {largest >> 10} at most later"
        found.expect(largest <= GROWTH * first, f"{kind}: {grown}")
        found.expect(sizes[0] < first, f"{kind}: the size tells nothing")
        found.numbers[f"{kind}, {days} days of {events} events"] = grown
        with _database(kind) as dsn:
            percent = _idle(dsn, seconds)
        found.expect(percent <= IDLE[full], f"{kind}: {percent:.2f} % of a core when idle")
        found.numbers[f"{kind}, idle for {seconds:.0f} s"] = f"{percent:.2f} % of a core"
    return found


@contextmanager
def _database(kind: str) -> Iterator[str]:
    """Its URL; none for a file in the home."""
    with ExitStack() as stack:
        if kind == "postgres":
            yield stack.enter_context(stack.enter_context(running(uuid4().hex)).schema())
        else:
            yield ""


async def _sizes(dsn: str, days: int, events: int) -> list[int]:
    """Bytes at the end of each day."""
    keep = Retention(
        events=KEPT * DAY * MICROSECONDS, calls=DAY * MICROSECONDS, waiting=DAY * MICROSECONDS
    )
    sizes = []
    with tempfile.TemporaryDirectory() as folder:
        async with floors(Path(folder), dsn) as house:
            bus, data = Bus.over(house, rate=1_000_000), Raw(b'"%s"' % (b"x" * 1000))
            asked = [EventPublish(type="daily", data=data)] * min(100, events)
            for _ in range(days):
                for _ in range(0, events, len(asked)):
                    await bus.publishing.publish_batch(house.owner, asked)
                house.clock.advance(DAY)
                await sweeper(house, keep).sweep()
                sizes.append(await _size(Path(folder), dsn))
            await bus.publishing._intake.stop()
    return sizes


async def _size(folder: Path, dsn: str) -> int:
    if not dsn:
        with closing(sqlite3.connect(folder / "data" / "mesh.db")) as file:
            (pages,) = file.execute("PRAGMA page_count").fetchone()  # with those in the log
            (size,) = file.execute("PRAGMA page_size").fetchone()
        return int(pages * size)
    link = await asyncpg.connect(dsn)
    try:
        await link.execute("VACUUM events")  # what a server does by itself
        return int(await link.fetchval("SELECT pg_total_relation_size('events')"))
    finally:
        await link.close()


def _idle(dsn: str, seconds: float) -> float:
    """Percent of one core."""
    daemon = Daemon.fresh(**({"DATABASE_URL": dsn} if dsn else {}))
    try:
        daemon.start()
        for number in range(5):
            body = {"types": [f"t{number}"], "webhook": "http://127.0.0.1:9/", "name": f"s{number}"}
            daemon.control("POST", "/v1/webhook-subscriptions", body)
            cron = {"name": f"c{number}", "type": "hourly", "cron": "0 * * * *"}
            daemon.control("POST", "/v1/schedules", cron)
        time.sleep(SETTLED)
        before, began = cpu_seconds(daemon.pid) or 0.0, time.monotonic()
        time.sleep(seconds)
        used = (cpu_seconds(daemon.pid) or 0.0) - before
        return 100 * used / (time.monotonic() - began)
    finally:
        daemon.remove()

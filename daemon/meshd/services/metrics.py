"""What the daemon counts, gathered when somebody reads it.

Everything is kept in plain numbers where it happens; only whether the database answers, and how
many deliveries wait, is asked afresh. No label has the name of a caller or a tool: what is counted
by name is bounded by the connections that there are.
"""

import asyncio
import platform
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from meshd.bus.dispatcher import Dispatcher
from meshd.core import usage
from meshd.core.clock import Clock
from meshd.services.call_tally import BOUNDS_US, CallTally, Series, Whose, cumulated
from meshd.services.directory import Directory
from meshd.services.grants import SELF
from meshd.services.health import Health
from meshd.services.publishing import Publishing
from meshd.services.records import Records
from meshd.services.upstreams import Upstreams
from meshd.store.db import StoreError
from meshd.store.scoped import ScopedDatabase
from meshd.wire.connection import State
from meshd.wire.metrics import Metric, Sample
from meshd.wire.version import VERSION

MAX_WAITING = 100_000
"""Deliveries that wait are counted up to here."""
AGAIN = 1.0
"""Seconds for which what the database said is good: nobody makes it work by reading often."""
CHILDREN = ("running", "starting", "resting", "failing")
ATTEMPTS = {"done": "delivered", "ready": "retried", "dead": "dead"}

Labels = dict[str, str]


@dataclass(frozen=True, slots=True)
class Doors:
    """What stands at the daemon's doors: open connections, requests under way, sessions, streams.

    Connections and requests are by door (`tcp`, `socket`), streams by what is followed: `mcp`, or
    `control` calls.
    """

    connections: Mapping[str, int]
    requests: Mapping[str, int]
    streams: Mapping[str, int]
    sessions_opened: int
    sessions_ended: int


@dataclass(frozen=True, slots=True)
class Sources:
    """Who knows the numbers. `ready` asks the databases; `locked` is whether the vault is."""

    directory: Directory
    health: Health
    records: Records
    upstreams: Upstreams
    publishing: Publishing
    dispatcher: Dispatcher
    db: ScopedDatabase
    clock: Clock
    ready: Callable[[], Awaitable[bool]]
    locked: Callable[[], bool]
    doors: Callable[[], Doors]
    more: Callable[[], Iterable[Metric]]
    """Further metrics, of what not every daemon has."""


class Metrics:
    """Reads them all."""

    def __init__(self, sources: Sources) -> None:
        self._from = sources
        self._started = sources.clock.now()
        self._asking = asyncio.Lock()
        self._asked = -AGAIN
        self._ready, self._waiting = False, 0

    async def read(self) -> list[Metric]:
        """Every metric. A call that was answered before is in them."""
        await self._from.records.settle()
        ready, waiting = await self._from_database()
        return [
            *self._daemon(ready),
            *self._calls(),
            *self._connections(),
            *self._records(),
            *self._doors(),
            *self._events(waiting),
            *self._from.more(),
            *_process(),
        ]

    async def _from_database(self) -> tuple[bool, int]:
        async with self._asking:
            now = self._from.clock.monotonic()
            if now - self._asked >= AGAIN:
                self._ready = await self._from.ready()
                self._waiting = await self._count_waiting() if self._ready else 0
                self._asked = now
            return self._ready, self._waiting

    async def _count_waiting(self) -> int:
        try:
            row = await self._from.db.one("delivery.waiting", limit=MAX_WAITING)
        except StoreError:
            return 0
        return int(row["n"]) if row else 0

    def _daemon(self, ready: bool) -> Iterator[Metric]:
        about = {"version": VERSION, "python": platform.python_version()}
        up = (self._from.clock.now() - self._started) / 1e6
        yield _one("meshd_build_info", "gauge", "Which program this is; always 1.", 1, about)
        yield _one("meshd_uptime_seconds", "gauge", "Seconds since the daemon was started.", up)
        yield _one(
            "meshd_vault_locked", "gauge", "1 while the vault is locked.", self._from.locked()
        )
        yield _one("meshd_database_up", "gauge", "1 while the databases answer.", ready)

    def _calls(self) -> Iterator[Metric]:
        tally = self._from.records.tally
        known = self._names(tally)
        tally.keep(known.keys())
        shown = [(labels, tally.series[whose]) for whose, labels in known.items()]
        yield _many("meshd_calls_total", "counter", "Tool calls by how they went.", [
            (labels | {"outcome": kind}, count)
            for labels, series in shown for kind, count in series.kinds.items() if count
        ])  # fmt: skip
        yield Metric(
            name="meshd_call_duration_seconds", type="histogram",
            help="Tool calls from the first byte of the request to the last of the answer.",
            samples=[sample for labels, series in shown for sample in _histogram(labels, series)],
        )  # fmt: skip
        yield _many(
            "meshd_call_stage_seconds_total", "counter",
            "Seconds that all tool calls together spent in each stage.",
            [({"stage": stage}, took / 1e6) for stage, took in tally.stages_us.items()],
        )  # fmt: skip

    def _names(self, tally: CallTally) -> dict[Whose, Labels]:
        """The labels of every connection that was called and is still there."""
        view = self._from.directory.latest
        known: dict[Whose, Labels] = {}
        for org, connection in tally.series:
            row = view.connections.get(connection)
            if org in view.orgs and (row is not None or connection == SELF):
                name = SELF if row is None else row.name
                known[org, connection] = {"org": view.orgs[org], "connection": name}
        return known

    def _connections(self) -> Iterator[Metric]:
        view, health = self._from.directory.latest, self._from.health
        rows = view.connections.values()
        states = Counter[str](health.of(row).state for row in rows)
        yield _many(
            "meshd_connections", "gauge", "Connections by state.",
            [({"state": state}, states[state]) for state in get_args(State)],
        )  # fmt: skip
        yield _many(
            "meshd_upstream_failures_total", "counter",
            "Contacts with the server of a connection that failed.",
            [({"org": view.orgs.get(row.org, row.org), "connection": row.name},
              health.failures[row.id]) for row in rows],
        )  # fmt: skip
        children = self._from.upstreams.count_children()
        yield _many(
            "meshd_children", "gauge", "Stdio servers by state; each that runs is a process.",
            [({"state": state}, children.get(state, 0)) for state in CHILDREN],
        )  # fmt: skip

    def _records(self) -> Iterator[Metric]:
        records = self._from.records
        for state, count in (("written", records.counters.written),
                             ("dropped", records.counters.dropped)):  # fmt: skip
            about = f"Records of calls that were {state}."
            yield _one(f"meshd_records_{state}_total", "counter", about, count)
        about = "Records of calls that wait to be written."
        yield _one("meshd_records_queued", "gauge", about, records.queued)

    def _doors(self) -> Iterator[Metric]:
        doors = self._from.doors()
        for name, label, about, counts in (
            ("connections", "door", "HTTP connections that are open.", doors.connections),
            ("requests", "door", "HTTP requests being answered.", doors.requests),
            ("streams", "of", "Streams that are followed.", doors.streams),
        ):
            values: list[tuple[Labels, float]] = [({label: at}, n) for at, n in counts.items()]
            yield _many(f"meshd_http_{name}", "gauge", about, values)
        for word, count in (("opened", doors.sessions_opened), ("ended", doors.sessions_ended)):
            about = f"Sessions that clients {word}; abandoned ones cost nothing."
            yield _one(f"meshd_sessions_{word}_total", "counter", about, count)

    def _events(self, waiting: int) -> Iterator[Metric]:
        bus = self._from.dispatcher
        about = "Events that people and programs published."
        yield _one("meshd_events_published_total", "counter", about, self._from.publishing.count)
        yield _many(
            "meshd_delivery_attempts_total", "counter",
            "Attempts to deliver events, by what became of the delivery.",
            [({"outcome": word}, bus.attempts[state]) for state, word in ATTEMPTS.items()],
        )  # fmt: skip
        about = f"Deliveries that wait or are tried, of all daemons; {MAX_WAITING} may be more."
        yield _one("meshd_deliveries_waiting", "gauge", about, waiting)
        about = "Deliveries that this daemon is trying."
        yield _one("meshd_deliveries_under_way", "gauge", about, bus.under_way)


def _process() -> Iterator[Metric]:
    """Under the names that every exporter gives them."""
    yield _one("process_resident_memory_bytes", "gauge", "Resident memory.", usage.resident_bytes())
    about = "Processor time of all threads."
    yield _one("process_cpu_seconds_total", "counter", about, usage.cpu_seconds())
    yield _one("process_open_fds", "gauge", "Open files.", usage.open_files())
    yield _one("process_max_fds", "gauge", "Files that may be open.", usage.most_files())
    yield _one("process_threads", "gauge", "Threads.", usage.threads())


def _histogram(labels: Labels, series: Series) -> Iterator[Sample]:
    name = "meshd_call_duration_seconds"
    bounds = [*(f"{bound / 1e6:g}" for bound in BOUNDS_US), "+Inf"]
    for bound, count in zip(bounds, cumulated(series.buckets), strict=True):
        yield Sample(name=f"{name}_bucket", labels=labels | {"le": bound}, value=count)
    yield Sample(name=f"{name}_sum", labels=labels, value=series.total_us / 1e6)
    yield Sample(name=f"{name}_count", labels=labels, value=series.timed)


def _one(
    name: str, kind: Literal["counter", "gauge"], about: str, value: float,
    labels: Labels | None = None,
) -> Metric:  # fmt: skip
    return _many(name, kind, about, [(labels or {}, value)])


def _many(
    name: str, kind: Literal["counter", "gauge"], about: str, values: list[tuple[Labels, float]]
) -> Metric:
    samples = [Sample(name=name, labels=labels, value=value) for labels, value in values]
    return Metric(name=name, type=kind, help=about, samples=samples)

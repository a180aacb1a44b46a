"""Calls and lists through each way to the upstream, in turns, so that noise hits all alike."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from urllib.request import urlopen

from tests.bench import load
from tests.bench.client import Asked
from tests.bench.load import Load
from tests.bench.measure import Meter

CALLERS = (1, 16, 64)


@dataclass(frozen=True)
class Way:
    """One way to the upstream: its process, None for the direct one, and what is asked there."""

    name: str
    pid: int | None
    call: Asked
    list: Asked


@dataclass(frozen=True)
class Sample:
    """One round of one way."""

    load: Load
    upstream: int
    cpu_ms: float | None


@dataclass(frozen=True)
class Row:
    """The medians of one way's rounds. Shares and multiples are of the direct way's same round."""

    way: str
    what: str
    callers: int
    share: float
    rate: float
    p50_ms: float
    added_p50: float
    cpu_ms: float | None
    upstream_per_call: float
    errors: int


def came(upstream: str, method: str | None = None) -> int:
    """Requests that reached the upstream, of one method or of all."""
    with urlopen(upstream, timeout=30) as answer:
        counts: dict[str, int] = json.load(answer)
    return sum(counts.values()) if method is None else counts.get(method, 0)


def rows(ways: Iterable[Way], upstream: str, seconds: float, rounds: int) -> list[Row]:
    """Calls at each number of callers, and lists; the first way is the direct one."""
    ways = list(ways)
    wanted = [("call", callers) for callers in CALLERS] + [("list", 16)]
    found = []
    for what, callers in wanted:
        asked = {way.name: way.call if what == "call" else way.list for way in ways}
        turns = [
            {way.name: _sample(way, asked[way.name], upstream, callers, seconds) for way in ways}
            for _ in range(rounds)
        ]
        direct = ways[0].name
        found += [_row(way.name, direct, what, callers, turns) for way in ways]
    return found


def _sample(way: Way, asked: Asked, upstream: str, callers: int, seconds: float) -> Sample:
    before = came(upstream)
    meter = Meter(way.pid) if way.pid is not None else None
    done = load.for_seconds(asked, callers, seconds)
    cpu = meter.ms_per(done.calls) if meter is not None else None
    return Sample(done, came(upstream) - before, cpu)


def _row(way: str, direct: str, what: str, callers: int, turns: list[dict[str, Sample]]) -> Row:
    mine = [turn[way] for turn in turns]
    pairs = [(turn[way].load, turn[direct].load) for turn in turns]
    cpu = [sample.cpu_ms for sample in mine if sample.cpu_ms is not None]
    calls = sum(sample.load.calls for sample in mine)
    return Row(
        way,
        what,
        callers,
        share=median(one.rate / other.rate for one, other in pairs),
        rate=median(sample.load.rate for sample in mine),
        p50_ms=median(sample.load.p50_ms for sample in mine),
        added_p50=median((one.p50_ms - other.p50_ms) / other.p50_ms for one, other in pairs),
        cpu_ms=median(cpu) if cpu else None,
        upstream_per_call=sum(sample.upstream for sample in mine) / max(calls, 1),
        errors=sum(sample.load.errors for sample in mine),
    )

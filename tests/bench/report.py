"""What was measured, and how it is printed: ratios first, each budget beside its number."""

import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.bench.cold import Start
from tests.bench.counting import Counts
from tests.bench.shapes import ShapeRow
from tests.bench.stdio import StdioRow
from tests.bench.traffic import Row

MESHD = "meshd"


@dataclass(frozen=True)
class Report:
    """One run of the bench."""

    setting: dict[str, str]
    traffic: list[Row]
    counts: Counts
    shapes: list[ShapeRow]
    stdio: list[StdioRow]
    start: Start
    commands: list[Start]

    def row(self, way: str, what: str, callers: int) -> Row:
        """The row of one way."""
        return next(
            row for row in self.traffic if (row.way, row.what, row.callers) == (way, what, callers)
        )


def setting(loop: str, engine: str, seconds: float, rounds: int) -> dict[str, str]:
    """What the numbers hang on."""
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "loop of the daemon": loop,
        "load": f"{engine}, {rounds} rounds of {seconds:g} s",
    }


def text(report: Report) -> str:
    """The report as tables."""
    parts = ["\n".join(f"{name}: {value}" for name, value in report.setting.items())]
    for title, head, lines in (
        ("Traffic", TRAFFIC, [*_traffic(report.traffic)]),
        ("Other shapes", SHAPES, [*_shapes(report.shapes)]),
        ("Stdio connection", STDIO, [*_stdio(report.stdio)]),
        ("Starts", STARTS, [*_starts([report.start, *report.commands])]),
        ("Budgets", BUDGETS, [*_budgets(report)]),
    ):
        parts.append(f"{title}\n{_table([head, *lines])}")
    return "\n\n".join(parts)


TRAFFIC = (
    "through", "what", "callers", "of direct", "added p50", "CPU ms", "upstream", "errors",
    "per s", "p50 ms",
)  # fmt: skip
SHAPES = ("what", "of direct", "errors", "per s", "direct per s", "unit")
STDIO = ("callers", "of pipes", "CPU ms", "errors", "per s", "pipes per s")
STARTS = ("what", "of bare python", "ms")
BUDGETS = ("what", "budget", "measured", "beside")


def _traffic(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        yield (
            row.way, row.what, str(row.callers), _share(row.share), _times(row.added_p50),
            _ms(row.cpu_ms), f"{row.upstream_per_call:.2f}", str(row.errors), f"{row.rate:.0f}",
            f"{row.p50_ms:.3f}",
        )  # fmt: skip


def _shapes(rows: Sequence[ShapeRow]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        yield (
            row.what, _share(row.share), str(row.errors), f"{row.rate:.0f}",
            f"{row.direct_rate:.0f}", row.unit,
        )  # fmt: skip


def _stdio(rows: Sequence[StdioRow]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        yield (
            str(row.callers), _share(row.share), _ms(row.cpu_ms), str(row.errors),
            f"{row.rate:.0f}", f"{row.pipes_rate:.0f}",
        )  # fmt: skip


def _starts(starts: Sequence[Start]) -> Iterator[tuple[str, ...]]:
    for start in starts:
        yield start.what, _times(start.times), f"{start.ms:.0f}"


def _budgets(report: Report) -> Iterator[tuple[str, ...]]:
    """Each budget with its number, and the same number of what it is compared with."""
    one, many, most = (report.row(MESHD, "call", callers) for callers in (1, 16, 64))
    lists, counts = report.row(MESHD, "list", 16), report.counts
    took = {start.what: start for start in report.commands}
    floors = [way for way in ("forwarder", "nginx") if any(r.way == way for r in report.traffic)]

    def beside(what: str, callers: int, field: str) -> str:
        shown = {"share": _share, "added_p50": _times, "cpu_ms": _ms}[field]
        found = ((way, getattr(report.row(way, what, callers), field)) for way in floors)
        return ", ".join(f"{way} {shown(value)}" for way, value in found)

    yield "CPU a call, 16 callers", "≤ 0.15 ms", _ms(many.cpu_ms), beside("call", 16, "cpu_ms")
    yield "calls, 16 callers", "≥ 25 %", _share(many.share), beside("call", 16, "share")
    yield "added p50, 1 caller", "≤ 3.5×", _times(one.added_p50), beside("call", 1, "added_p50")
    yield "errors, 64 callers", "0", str(most.errors), ""
    reached = f"{counts.upstream / max(counts.calls, 1):.2f}"
    yield "upstream requests a call", "1.00", reached, f"{counts.upstream} of {counts.calls}"
    written = f"{counts.records_written} and {counts.records_dropped}"
    yield "records written and dropped", f"{counts.calls} and 0", written, ""
    yield "tools/list of 120 tools", "≥ 55 %", _share(lists.share), beside("list", 16, "share")
    shares = {row.what: row.share for row in report.shapes}
    yield "sessions, 16 callers", "≥ 45 %", _share(shares["sessions opened, used, closed"]), ""
    yield "time of a stream", "≤ 1.1×", _times(1 / max(shares["streams"], 1e-9)), ""
    yield "start to first served call", "≤ 500 ms", f"{report.start.ms:.0f} ms", ""
    yield "RSS idle", "≤ 60 MB", f"{counts.rss_idle_mb:.0f} MB", ""
    yield f"RSS after {counts.calls} calls", "≤ 70 MB", f"{counts.rss_after_mb:.0f} MB", ""
    for what, budget in (("status --json", "≤ 2×"), ("key list", "≤ 7×")):
        yield f"meshctl {what}", budget, _times(took[what].times), "bare Python 1×"
    bridge = next(start for start in report.commands if start.what.startswith("stdio"))
    yield "meshctl stdio ready", "≤ 250 ms", f"{bridge.ms:.0f} ms", ""


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(f"  {line}" for line in lines)


def _share(value: float) -> str:
    return f"{value:.0%}"


def _times(value: float) -> str:
    return f"{value:.1f}×"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f} ms"

"""The bench runs, and what it counts agrees. No time is asserted: machines differ."""

import shutil
import subprocess
import sys
from dataclasses import replace

import msgspec
import pytest

from tests.bench import load, many, nginx, report
from tests.bench.client import Client
from tests.bench.server import ROOT, started
from tests.bench.traffic import came


@pytest.fixture(scope="module")
def measured() -> report.Report:
    """One short run."""
    command = [
        "-m",
        "tests.bench",
        "--seconds",
        "0.05",
        "--rounds",
        "1",
        "--calls",
        "200",
        "--json",
    ]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout, type=report.Report)


def test_every_call_is_made_served_and_recorded_once(measured):
    counts = measured.counts
    assert (counts.calls, counts.errors, counts.upstream) == (200, 0, 200)
    assert (counts.records_written, counts.records_dropped) == (200, 0)


def test_each_way_is_measured_in_the_same_run(measured):
    ways = ["direct", "forwarder", *(["nginx"] if nginx.installed() else []), "meshd"]
    loads = [("call", 1), ("call", 16), ("call", 64), ("list", 16)]
    found = [(row.way, row.what, row.callers) for row in measured.traffic]
    assert found == [(way, *one) for one in loads for way in ways]
    assert {row.errors for row in measured.traffic} == {0}
    # On a busy machine a short round may end before its first call does.
    reached = {(row.way, row.what, row.upstream_per_call) for row in measured.traffic if row.rate}
    assert {one[2] for one in reached if one[:2] != ("meshd", "list")} == {1.0}
    # From memory; what is old is read again behind an answer, which a slow round may see.
    assert all(one[2] < 0.5 for one in reached if one[:2] == ("meshd", "list"))


def test_other_shapes_are_measured_without_errors(measured):
    shown = {row.what: row.errors for row in measured.shapes}
    assert len(shown) == 4
    assert set(shown.values()) == {0}


def test_memory_is_read_after_each_part():
    """`python -m tests.bench.steady`, small: every call and session goes well."""
    command = ["-m", "tests.bench.steady", "--calls", "320", "--sessions", "160"]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [row[0] for row in rows] == ["idle", *["calls"] * 10, *["sessions"] * 10]
    assert {row[2] for row in rows} == {"0"}


def test_the_report_shows_each_budget(measured):
    text = report.text(measured)
    assert "CPU a call, 16 callers" in text
    assert "meshctl stdio ready" in text


@pytest.fixture(scope="module")
def upstream():
    with started("upstream") as process:
        yield process


def test_a_wrong_answer_is_an_error(upstream):
    """Without this a broken way would look fast."""
    asked = Client(upstream.url).call()
    done = load.exactly(replace(asked, mark=b"not said"), 4, 20)
    assert (done.calls, done.errors) == (0, 20)
    done = load.exactly(replace(asked, headers={}), 4, 20)
    assert (done.calls, done.errors) == (0, 20), "a call without a session is refused"


@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed: asyncio drives the load")
def test_wrk_makes_and_checks_the_same_calls(upstream):
    asked = Client(upstream.url).call()
    before = came(upstream.url, "tools/call")
    done = load.for_seconds(asked, 4, 1)
    assert done.errors == 0
    assert done.calls <= came(upstream.url, "tools/call") - before <= done.calls + 4


def test_a_move_is_counted_on_both_sides(dsn):
    """`python -m tests.bench.move`, small."""
    command = ["-m", "tests.bench.move", "--records", "200", "--with-nul", "3", "--to", dsn]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith("calls "))
    assert row[1:3] == ["200", "200"]
    assert row[3] == row[4]
    assert row[5] == "3"


def test_a_virtual_mcp_bears_a_hung_upstream_and_a_flapping_one():
    """`python -m tests.bench.many`, small."""
    found = many.measured(lists=20, calls=40, upstreams=5)
    assert found.cold_named == ["hung"]
    assert found.tools == 2 * 4
    assert (len(found.warm_ms), found.warm_unnamed) == (20, 0)
    assert (len(found.call_ms), found.wrong) == (40, 0)

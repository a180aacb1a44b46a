"""Children come and go with their use: rest, sleep of the machine, other revisions."""

import asyncio
import os
import resource
import signal
import sys
import time

import pytest

from meshd.proxy.child import Command
from meshd.proxy.stdio_pool import IDLE, StdioPool
from meshd.proxy.wake import JUMP, WakeWatch
from meshd.wire.errors import UpstreamFailed
from tests.meshd.proxy.stdio_servers import SERVER, lifelines, quiet_loop, server


class Times:
    """Monotonic and wall time; both stand still until moved."""

    def __init__(self) -> None:
        self.up, self.wall = 1000.0, 1_800_000_000.0

    def pass_(self, seconds: float) -> None:
        self.up += seconds
        self.wall += seconds


@pytest.fixture
def times():
    return Times()


@pytest.fixture
async def pool(tmp_path, times):
    pool = StdioPool(
        tmp_path / "children", clock=lambda: times.up, wall=lambda: times.wall, look=0.01
    )
    pool._resting = asyncio.get_running_loop().create_future()  # looks come by hand here
    with quiet_loop():
        yield pool
        await pool.close()
    assert list((tmp_path / "children").glob("*")) == []


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def rested(pool, times, seconds=IDLE) -> None:
    """Two looks, `seconds` apart."""
    await pool.rest()
    times.pass_(seconds)
    await pool.rest()


async def test_a_child_without_use_is_stopped_and_comes_back(pool, times, tmp_path):
    """The welcome stays known; resting is no fault, so nothing waits before the next start."""
    command = server(tmp_path)
    first = await pool.get("a", command)
    await rested(pool, times)
    assert first.child.returncode == 0
    assert pool.state("a") == "resting"
    assert pool.welcome("a") == first.initialize_result
    (fact,) = pool.standing()
    assert (fact.pid, fact.last_exit) == (None, "stopped after 600 s without use")
    for _ in range(3):
        again = await pool.get("a", command)
        await rested(pool, times)
    assert not lives(again.child.pid)


async def test_a_child_that_came_back_has_its_whole_time(pool, times, tmp_path):
    """However long the one before had been quiet, and though both were asked equally often."""
    for _ in range(2):
        upstream = await pool.get("a", server(tmp_path))
        await pool.rest()
        assert upstream.alive
        times.pass_(IDLE)
        await pool.rest()
        assert not upstream.alive


async def test_a_call_before_the_end_keeps_it(pool, times, tmp_path):
    """Each use counts anew."""
    upstream = await pool.get("a", server(tmp_path))
    for _ in range(3):
        await upstream.request("line", b"{}")
        await rested(pool, times, IDLE - 1)
    assert upstream.alive
    times.pass_(1)
    await pool.rest()
    assert not upstream.alive


async def test_a_call_in_flight_keeps_it(pool, times, tmp_path):
    """However long it takes."""
    upstream = await pool.get("a", server(tmp_path))
    call = asyncio.create_task(upstream.request("hang", b"{}"))
    await upstream.request("line", b"{}")
    await rested(pool, times)
    assert upstream.alive
    call.cancel()
    await asyncio.wait([call])
    times.pass_(IDLE)
    await pool.rest()
    assert not upstream.alive


@pytest.mark.parametrize("holds", [True, False])
async def test_an_open_stream_keeps_it(pool, times, tmp_path, holds):
    """Somebody waits for what the server may say; our own ear is no reason to run."""
    upstream = await pool.get("a", server(tmp_path))
    leave = upstream.listen(lambda *_: None, holds=holds)
    await rested(pool, times)
    assert upstream.alive == holds
    leave()
    times.pass_(IDLE)
    await pool.rest()
    assert not upstream.alive


async def test_a_call_while_it_lies_down_gets_another(pool, times, tmp_path):
    """And the first is gone before the second starts."""
    command = server(tmp_path)
    first = await pool.get("a", command)
    await pool.rest()
    times.pass_(IDLE)
    resting = asyncio.create_task(pool.rest())
    await asyncio.sleep(0)
    second = await pool.get("a", command)
    assert first.child.returncode is not None
    await resting
    assert second.alive


@pytest.mark.parametrize(("idle", "stays"), [(0, True), (7200, True), (3600, False)])
async def test_each_key_has_its_own_time(pool, times, tmp_path, idle, stays):
    """And the last word on it counts; 0 is never."""
    command = server(tmp_path)
    upstream = await pool.get("a", command)
    await pool.get("a", command, idle=idle)
    await rested(pool, times, 3600)
    assert upstream.alive == stays


async def test_somebody_looks_by_itself(tmp_path):
    """From the first start on."""
    pool = StdioPool(tmp_path / "children", look=0.01)
    upstream = await pool.get("a", server(tmp_path), idle=0.05)
    async with asyncio.timeout(10):
        await upstream.closed.wait()
    await pool.close()


@pytest.mark.parametrize(
    ("apart", "woke"), [(JUMP + 1, True), (-JUMP - 1, True), (JUMP - 1, False)]
)
def test_a_sleep_is_a_jump_of_one_clock_against_the_other(times, apart, woke):
    """Time that both saw pass is none; each sleep is told once."""
    watch = WakeWatch(lambda: times.up, lambda: times.wall)
    times.pass_(86400)
    assert not watch.woke()
    times.wall += apart
    assert watch.woke() == woke
    assert not watch.woke()


async def test_after_a_sleep_a_living_child_stays(pool, times, tmp_path):
    """One ping, shared by all who ask."""
    command = server(tmp_path)
    first = await pool.get("a", command)
    times.wall += 3600
    asked = first.talk.asked
    assert pool.state("a") == "starting"
    assert await asyncio.gather(*(pool.get("a", command) for _ in range(5))) == [first] * 5
    assert await pool.get("a", command) is first
    assert first.talk.asked == asked + 1
    assert pool.state("a") == "running"


async def test_after_a_sleep_a_deaf_child_is_replaced(pool, times, tmp_path, monkeypatch):
    """It has its two seconds, and no more."""
    monkeypatch.setattr("meshd.proxy.stdio_pool.WAKE_WAIT", 0.2)
    command = server(tmp_path)
    first = await pool.get("a", command)
    os.kill(first.child.pid, signal.SIGSTOP)
    pending = asyncio.create_task(first.request("line", b"{}"))
    await asyncio.sleep(0)
    times.wall += 3600
    second = await pool.get("a", command)
    assert second is not first
    assert not lives(first.child.pid)
    with pytest.raises(UpstreamFailed, match=r"within 0.2 s after the machine slept"):
        await pending


async def test_another_revision_starts_when_the_one_before_is_gone(pool, tmp_path):
    """An edit never leaves two children of one connection."""
    lines = tmp_path / "lines"
    source = (
        "import os, sys\n"
        f"log = open({str(lines)!r}, 'a', 1)\n"
        "log.write('+' + sys.argv[1] + '\\n')\n"
        "import atexit; atexit.register(log.write, '-' + sys.argv[1] + '\\n')\n"
    )
    await pool.get("c", logged(tmp_path, source, "1"), "r1")
    await asyncio.gather(*(pool.get("c", logged(tmp_path, source, "2"), "r2") for _ in range(3)))
    await pool.drop("c", "r1")
    assert pool.state("c", "r2") == "running"
    assert len(pool.standing()) == 1
    assert lines.read_text().split() == ["+1", "-1", "+2"]
    assert pool.welcome("c", "r1") == b""
    await pool.drop("c", "r2")
    assert lines.read_text().split() == ["+1", "-1", "+2", "-2"]


def logged(folder, source: str, mark: str) -> Command:
    """The server, with its begin and end written down; `mark` is its first word and its version."""
    fixed = SERVER.replace('sys.argv[1] if len(sys.argv) > 1 else "2025-11-25"', '"2025-11-25"')
    return server(folder, mark, source=source + fixed)


async def test_dropping_the_old_revision_waits_until_it_is_gone(pool, tmp_path):
    """Also where a caller asked for the new one first, and its start is still under way."""
    old = await pool.get("c", server(tmp_path), "r1")
    asking = asyncio.create_task(pool.get("c", server(tmp_path), "r2"))
    await asyncio.sleep(0)
    await pool.drop("c", "r1")
    assert not lives(old.child.pid)
    assert (await asking).alive


async def test_a_start_that_hangs_does_not_outlive_its_revision(pool, tmp_path):
    """Its callers are told; the new one starts."""
    silent = server(tmp_path, source="import sys; sys.stdin.read()")
    waiting = asyncio.create_task(pool.get("c", silent, "r1"))
    while not pool.standing() or pool.state("c", "r1") != "starting":
        await asyncio.sleep(0)
    (tmp_path / "new").mkdir()
    assert (await pool.get("c", server(tmp_path / "new"), "r2")).alive
    with pytest.raises(UpstreamFailed, match="dropped while it started"):
        await waiting


HOSTILE = r"""
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
lifeline = sys.argv[1]
if os.fork() == 0:
    lifeline += ".grandchild"
    with open(lifeline, "w") as line:
        line.write(f"{os.getpid()}\n"); line.flush()
        time.sleep(600)
line = open(lifeline, "w"); line.write(f"{os.getpid()}\n"); line.flush()
block = b"e" * (1 << 20)
for _ in range(100):
    os.write(2, block)
sys.stdin.readline()
"""
"""Forks, ignores SIGTERM, floods stderr with 100 MB, and ends without an answer."""


async def test_the_worst_server_costs_no_process_and_little_memory(pool, tmp_path):
    """It fails with its reason, is not tried again at once, and nothing of it stays."""
    command = server(tmp_path, str(tmp_path / "line"), source=HOSTILE)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with lifelines(tmp_path) as (leader, grandchild):
        asking = asyncio.create_task(pool.get("a", command))
        await leader.holder()
        await grandchild.holder()
        with pytest.raises(UpstreamFailed, match="exited with code 0"):
            await asking
        await leader.gone()
        await grandchild.gone()
        with pytest.raises(UpstreamFailed) as caught:
            await pool.get("a", command)
        assert "next try" in caught.value.facts
        assert pool.state("a") == "failing"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < (50 << 20 if sys.platform == "darwin" else 50 << 10)


async def test_a_server_that_hangs_on_stdin_is_replaced(tmp_path):
    """It never answers: the deadline ends it, and its end is quick."""
    pool = StdioPool(tmp_path / "children", start_deadline=0.3)
    began = time.monotonic()
    with pytest.raises(UpstreamFailed, match=r"did not answer initialize within 0.3 s"):
        await pool.get("a", server(tmp_path, source="import time; time.sleep(600)"))
    assert pool.standing()[0].pid is None
    await pool.close()
    assert time.monotonic() - began < 10

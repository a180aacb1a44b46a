"""One child per key: started once, shared, replaced when dead, and not tried again too soon."""

import asyncio
import os
import sys

import pytest

from meshd.proxy.backoff import Backoff
from meshd.proxy.child import Command
from meshd.proxy.stdio_pool import StdioPool
from meshd.wire.errors import UpstreamFailed
from tests.meshd.proxy.stdio_servers import quiet_loop, server


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def pool(tmp_path, clock):
    pool = StdioPool(tmp_path / "children", clock=clock)
    with quiet_loop():
        yield pool
        await pool.close()
    assert list((tmp_path / "children").glob("*")) == []


class Orders:
    """A command that counts how often it was asked for."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.count = 0

    def __call__(self) -> Command:
        self.count += 1
        return self.command


async def dead(upstream) -> None:
    upstream.child.kill()
    async with asyncio.timeout(10):
        await upstream.closed.wait()


async def test_concurrent_callers_share_one_start(pool, tmp_path):
    """And those who come later get the same child."""
    orders = Orders(server(tmp_path))
    first, *others = await asyncio.gather(*(pool.get("a", orders) for _ in range(20)))
    assert all(other is first for other in others)
    assert await pool.get("a", orders) is first
    assert orders.count == 1
    assert [fact.pid for fact in pool.standing()] == [first.child.pid]


async def test_keys_do_not_share(pool, tmp_path):
    """Other credentials, another child."""
    command = server(tmp_path)
    one, two = await asyncio.gather(pool.get("c/1", command), pool.get("c/2", command))
    assert one.child.pid != two.child.pid


async def test_a_caller_that_leaves_does_not_end_the_start(pool, tmp_path):
    """The others still wait for it."""
    orders = Orders(server(tmp_path))
    leaving, staying = (asyncio.create_task(pool.get("a", orders)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).alive
    assert orders.count == 1


async def test_a_dead_child_is_replaced(pool, tmp_path, clock):
    """At once, by the next caller; how things stand shows why."""
    command = server(tmp_path)
    first = await pool.get("a", command)
    await dead(first)
    (fact,) = pool.standing()
    why = f'"{first.name}" was ended by SIGKILL'
    assert (fact.state, fact.pid, fact.restarts, fact.last_exit) == ("resting", None, 0, why)
    second = await pool.get("a", command)
    assert second is not first
    clock.now += 5
    (fact,) = pool.standing()
    assert (fact.state, fact.pid, fact.age) == ("running", second.child.pid, 5)
    assert (fact.key, fact.restarts, fact.last_exit, fact.in_flight) == ("a", 1, why, 0)


async def test_the_dead_is_gone_before_the_next_starts(pool, tmp_path, monkeypatch):
    """A server may have closed its output and still hold a port or a file."""
    first = await pool.get("a", server(tmp_path))
    await dead(first)
    stop, others = first.stop, []

    async def watched_stop():
        await stop()
        others.append([fact.pid for fact in pool.standing()])

    monkeypatch.setattr(first, "stop", watched_stop)
    await pool.get("a", server(tmp_path))
    assert others == [[None]]


async def test_a_crash_loop_is_slowed_down(pool, tmp_path, clock):
    """One accident is forgiven, the second in a row is not; an hour of health forgives all."""
    orders = Orders(server(tmp_path))
    for _ in range(2):
        await dead(await pool.get("a", orders))
    with pytest.raises(UpstreamFailed, match="was ended by SIGKILL") as caught:
        await pool.get("a", orders)
    assert caught.value.facts["next try"] == "in 2.0 s"
    clock.now += 2
    upstream = await pool.get("a", orders)
    clock.now += 3600
    await dead(upstream)
    assert (await pool.get("a", orders)).alive
    assert orders.count == 4


async def test_a_failed_start_is_remembered(pool, clock):
    """Callers inside the window get the same error without another process."""
    orders = Orders(Command((sys.executable, "-I", "-S", "-c", "import sys; sys.exit('broken')")))
    outcomes = await asyncio.gather(
        *(pool.get("a", orders) for _ in range(5)), return_exceptions=True
    )
    assert {str(outcome) for outcome in outcomes} == {str(outcomes[0])}
    assert outcomes[0].facts == {"exit": "1", "stderr": "broken"}
    clock.now += 0.75
    with pytest.raises(UpstreamFailed, match="exited with code 1") as caught:
        await pool.get("a", orders)
    assert caught.value.facts == {
        "exit": "1", "stderr": "broken", "next try": "in 0.2 s", "retry_after_s": "1",
    }  # fmt: skip
    assert orders.count == 1
    clock.now += 0.25
    with pytest.raises(UpstreamFailed):
        await pool.get("a", orders)
    assert orders.count == 2


def test_backoff_doubles_up_to_a_minute(clock):
    """1, 2, 4 … 60, 60 seconds."""
    backoff = Backoff(clock)
    waits = []
    for _ in range(8):
        backoff.failed(UpstreamFailed("no"))
        began = clock.now
        while True:
            try:
                backoff.check()
                break
            except UpstreamFailed:
                clock.now += 1
        waits.append(clock.now - began)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_backoff_counts_from_the_death(clock):
    """Who asks long after it need not wait."""
    backoff = Backoff(clock)
    for at in (990, 995):
        backoff.died(UpstreamFailed("no"), born=980, at=at, ready=980, answered=False)
    backoff.check()


@pytest.mark.parametrize(
    ("start", "life", "answered", "at_once"),
    [
        (0.1, 1.0, True, True),
        (0.1, 0.9, True, False),  # a crash loop that answers once in each life
        (0.1, 50, False, False),
        (0.1, 60, False, True),
        (5, 4, True, False),  # it would be starting most of the time
        (5, 5, True, True),
    ],
)
def test_who_served_is_started_again_at_once(clock, start, life, answered, at_once):
    """However often it ends; others wait from the second time on."""
    backoff = Backoff(clock)
    waited = []
    for _ in range(20):
        born = clock.now
        ready = born + start
        clock.now = ready + life
        error = UpstreamFailed("ended")
        backoff.died(error, born=born, at=clock.now, ready=ready, answered=answered)
        waited.append(backoff.left if backoff.waits else 0)
        clock.now += waited[-1]
    assert any(waited) is not at_once


async def test_drop_ends_the_child(pool, tmp_path):
    """The process is gone when it returns, and its requests have failed."""
    upstream = await pool.get("a", server(tmp_path))
    pending = asyncio.create_task(upstream.request("hang", b"{}"))
    await upstream.request("line", b"{}")
    await pool.drop("a")
    with pytest.raises(UpstreamFailed, match="was stopped"):
        await pending
    with pytest.raises(ProcessLookupError):
        os.kill(upstream.child.pid, 0)
    assert pool.standing() == []
    await pool.drop("a")


@pytest.mark.parametrize("turns", [0, 1, 50])
async def test_drop_during_the_start(pool, tmp_path, turns):
    """Whoever waits gets an error, however far the start has come."""
    silent = server(tmp_path, source="import sys; sys.stdin.read()")
    waiting = asyncio.create_task(pool.get("a", silent))
    for _ in range(turns + 1):
        await asyncio.sleep(0)
    await pool.drop("a")
    with pytest.raises(UpstreamFailed, match="dropped while it started"):
        await waiting


async def test_close_ends_all_and_starts_none(pool, tmp_path):
    """The daemon stops: children that run, children that start, and callers that come late."""
    command = server(tmp_path)
    running = await pool.get("a", command)
    starting = asyncio.create_task(pool.get("b", command))
    await asyncio.sleep(0)
    await pool.close()
    assert running.child.returncode == 0
    with pytest.raises(UpstreamFailed):
        await starting
    with pytest.raises(UpstreamFailed, match="stopping"):
        await pool.get("c", command)

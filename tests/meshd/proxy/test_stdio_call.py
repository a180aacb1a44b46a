"""How long a caller waits: an idle deadline that progress renews, under a ceiling that stays."""

import asyncio

import pytest

from meshd.protocol.jsonrpc import Reply
from meshd.proxy.stdio_call import Call, Deadlines
from meshd.wire.errors import UpstreamTimeout


class Time:
    """The running loop's time, moved by hand."""

    def __init__(self, monkeypatch) -> None:
        self.loop = asyncio.get_running_loop()
        self._now = self.loop.time()
        monkeypatch.setattr(self.loop, "time", lambda: self._now)

    async def passes(self, seconds: float) -> None:
        self._now += seconds
        for _ in range(3):  # one turn for the timer, one for what it calls, one to spare
            await asyncio.sleep(0)


@pytest.fixture
async def time(monkeypatch):
    return Time(monkeypatch)


@pytest.fixture
def call(time):
    """Makes a call that is watched."""
    calls = {}
    deadlines = Deadlines(calls)

    def make(idle: float | None, ceiling: float | None) -> Call:
        made = Call("x", token=None, on_notification=None, idle=idle, ceiling=ceiling)
        calls[b"%d" % len(calls)] = made
        deadlines.watch(made)
        return made

    yield make
    deadlines.close()


@pytest.mark.parametrize(("idle", "ceiling"), [(10, None), (10, 99), (None, 10), (99, 10)])
async def test_the_shorter_limit_counts(time, call, idle, ceiling):
    """Not a moment before it, and then with how long it was."""
    waiting = call(idle, ceiling)
    await time.passes(9.9)
    assert not waiting.outcome.done()
    await time.passes(0.2)
    assert isinstance(waiting.outcome.result(), UpstreamTimeout)
    assert str(waiting.outcome.result()) == "x was not answered within 10.1 s"


async def test_progress_renews_the_idle_deadline_up_to_the_ceiling(time, call):
    """A server that works is waited for, but not for ever."""
    waiting = call(10, 25)
    for _ in range(2):
        await time.passes(9)
        waiting.renew()
    await time.passes(6.9)
    assert not waiting.outcome.done()
    waiting.renew()
    await time.passes(0.2)
    assert waiting.outcome.done()


async def test_no_limit_no_timer(time, call):
    """Some calls may take a day."""
    waiting = call(None, None)
    await time.passes(1e6)
    assert not waiting.outcome.done()


async def test_the_first_outcome_counts(time, call):
    """A late answer does not undo a timeout, nor a timeout an answer."""
    waiting = call(10, None)
    answer = Reply(b"1", None)
    waiting.settle(answer)
    await time.passes(20)
    waiting.settle(Reply(b"2", None))
    assert waiting.outcome.result() is answer


async def test_each_call_has_its_own_deadline(time, call):
    """Whatever the order in which they came; the ends of others do not matter."""
    slow, fast, endless, answered = call(20, None), call(5, None), call(None, None), call(1, None)
    answered.settle(Reply(b"1", None))
    seen = []
    for _ in range(5):
        await time.passes(5.1)
        seen.append([waiting.outcome.done() for waiting in (slow, fast, endless)])
        late = call(2, None)
    assert seen == [[False, True, False]] * 3 + [[True, True, False]] * 2
    await time.passes(2.1)
    assert late.outcome.done()

"""The loop of schedules: it sleeps until there is something to do, and ends when it is told."""

import asyncio
from collections.abc import Iterable

import pytest

from meshd.bus import scheduler as module
from meshd.bus.scheduler import Scheduler
from meshd.store.db import StoreUnavailable

DEADLINE = 60.0
FAR = 3600.0


class Due:
    """Answers what it is given, one a time, and then that there is nothing for long."""

    def __init__(self, answers: Iterable[float | Exception] = ()) -> None:
        self.answers = list(answers)
        self.asked = 0
        self._moved = asyncio.Event()

    async def __call__(self) -> float:
        self.asked += 1
        self._moved.set()
        answer = self.answers.pop(0) if self.answers else FAR
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def until(self, asked: int) -> None:
        async with asyncio.timeout(DEADLINE):
            while self.asked < asked:
                self._moved.clear()
                await self._moved.wait()


@pytest.fixture
def due() -> Due:
    return Due()


async def running(due: Due) -> Scheduler:
    made = Scheduler(due)
    made.start()
    await due.until(1)
    return made


async def test_it_looks_again_when_something_is_due_or_told(due: Due) -> None:
    due.answers = [0.0, 0.01]
    made = await running(due)
    await due.until(3)
    for _ in range(50):
        await asyncio.sleep(0)
    assert due.asked == 3, "nothing is due: it sleeps"
    made.wake()
    await due.until(4)
    await made.stop()


async def test_it_looks_now_and_then_although_nothing_was_told(
    due: Due, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another daemon may have made a schedule."""
    monkeypatch.setattr(module, "POLL", 0.01)
    made = await running(due)
    await due.until(3)
    await made.stop()


async def test_a_database_that_fails_is_asked_again(
    due: Due, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "POLL", 0.01)
    due.answers = [StoreUnavailable("away")]
    made = await running(due)
    await due.until(2)
    assert "schedules could not be fired: away" in caplog.text
    await made.stop()


async def test_it_is_one_task_with_a_name_and_gone_when_stopped(due: Due) -> None:
    made = await running(due)
    names = [task.get_name() for task in asyncio.all_tasks()]
    assert names.count("scheduler.loop") == 1
    await made.stop()
    assert "scheduler.loop" not in [task.get_name() for task in asyncio.all_tasks()]
    made.wake()
    assert due.asked == 1

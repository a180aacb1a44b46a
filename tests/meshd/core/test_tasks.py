"""Background tasks: named, logged when they fail, gone when their owner stops."""

import asyncio
import logging

import pytest

from meshd.core.tasks import TaskGroup


async def test_a_task_carries_the_owners_name() -> None:
    async with TaskGroup("owner") as group:
        task = group.start("work", asyncio.sleep(3600))
        assert task.get_name() == "owner.work"
        assert len(group) == 1
    assert task.cancelled()
    assert len(group) == 0


async def test_one_failure_is_logged_and_ends_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("broken")

    async with TaskGroup("owner") as group:
        other = group.start("other", asyncio.Event().wait())
        failing = group.start("failing", fail())
        await asyncio.wait([failing])
        await asyncio.sleep(0)
        assert not other.done()
        assert len(group) == 1
    assert [r.levelno for r in caplog.records] == [logging.ERROR]
    assert "owner.failing" in caplog.text


async def test_stopping_waits_for_the_last_word_and_may_be_repeated() -> None:
    said = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            said.append("gone")

    group = TaskGroup("owner")
    group.start("work", work())
    await asyncio.sleep(0)
    await group.stop()
    await group.stop()
    assert said == ["gone"]

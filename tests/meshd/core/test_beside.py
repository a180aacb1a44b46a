"""Long work leaves the event loop free; short work does not pay for a thread."""

import asyncio
import itertools
import threading

import pytest

from meshd.core import beside
from meshd.core.beside import one_by_one, worked_out


@pytest.mark.parametrize("long", [False, True])
async def test_long_work_alone_is_done_in_another_thread(long: bool) -> None:
    assert (await worked_out(threading.get_ident, long=long) != threading.get_ident()) == long


async def test_what_goes_wrong_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        await worked_out(lambda: 1 // 0, long=True)


@pytest.mark.parametrize(("breath", "turns"), [(-1.0, 10), (60.0, 0)])
async def test_others_have_their_turn_in_between(
    monkeypatch: pytest.MonkeyPatch, breath: float, turns: int
) -> None:
    """And where it is soon done, none: each costs something."""
    monkeypatch.setattr(beside, "BREATH", breath)
    count = itertools.count()

    async def others() -> None:
        while True:
            next(count)
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    assert await one_by_one(lambda number: number * number, range(10)) == [n * n for n in range(10)]
    assert next(count) == turns
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

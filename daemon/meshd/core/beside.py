"""Work of the processor that takes long, so that the event loop does not stand still for it."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")

BREATH = 0.005
"""Seconds after which `one_by_one` lets others have the event loop."""


async def worked_out(work: Callable[[], Made], *, long: bool) -> Made:
    """What `work` gives, from a thread where it is long: to hand over the rest costs more."""
    return await asyncio.to_thread(work) if long else work()


async def one_by_one(work: Callable[[Given], Made], items: Iterable[Given]) -> list[Made]:
    """What `work` gives for each, on the event loop, which has a turn now and then in between."""
    made, since = list[Made](), time.perf_counter()
    for item in items:
        made.append(work(item))
        if time.perf_counter() - since > BREATH:
            await asyncio.sleep(0)
            since = time.perf_counter()
    return made

"""Work of the processor that takes long: done beside the event loop, which would stand still."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

Made = TypeVar("Made")


async def worked_out(work: Callable[[], Made], *, long: bool) -> Made:
    """What `work` gives, from a thread where it is long: to hand over the rest costs more."""
    return await asyncio.to_thread(work) if long else work()

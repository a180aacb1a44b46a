"""The watchdog: a loop that stands still is in the log, with the place where it hangs."""

import asyncio
import logging
import time

import pytest

from meshd.core.clock import SystemClock
from meshd.core.watchdog import STALL, Watchdog


def hang_here() -> None:
    time.sleep(STALL + 0.7)


async def test_a_stall_is_logged_once_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "meshd.core.watchdog"):
        async with Watchdog(SystemClock()):
            await asyncio.sleep(0.3)
            assert not caplog.records
            hang_here()
            await asyncio.sleep(0.3)
    said = [record.getMessage() for record in caplog.records]
    assert len([line for line in said if "stood still" in line]) == 1
    assert said[-1].endswith(" in hang_here")

"""R17 at a stdio server: its process is killed again and again under load, and replaced at once.

The client keeps its session, and what was under way fails typed. A server that served for a second
is replaced without a pause, however often it ends; one that does not is left alone for longer and
longer.
"""

import asyncio
import os
import signal
import time
from contextlib import suppress
from typing import Any

import aiohttp

from tests.bench.stdio import CHILD
from tests.harness.calling import Caller
from tests.harness.outcome import Outcome, percentile
from tests.support.daemon import Daemon
from tests.support.virtuals import make

LIFE = 1.5
"""Seconds between two kills."""


def restart_child(
    daemon: Daemon, found: Outcome, kills: int, rate: int, *, full: bool, virtual: bool
) -> None:
    """Kill it so often under so many calls a second, and judge."""
    name = "in-stdio" if virtual else "stdio"
    daemon.connect(name, *CHILD)
    place, word = name, ""
    if virtual:
        place, word = f"{name}-team", f"{name}_"
        make(daemon, place, name)
    key = daemon.add_key(f"{name}-caller")
    waits, faults = asyncio.run(_run(daemon, (name, place, word), key, kills, rate))
    codes = {str(fault.get("code")) for fault in faults}
    found.expect(codes <= {"upstream_failed"}, f"{name}: untyped failures: {codes}")
    held = [fault for fault in faults if "next try" in fault]
    found.expect(not held, f"{name}: was left alone: {held[:1]}")
    found.expect(len(waits) == kills, f"{name}: no call after a kill")
    # Nobody can tell from outside when the new process is there: its start is part of this.
    found.expect(not full or percentile(waits, 0.5) <= 0.3, f"{name}: back after {waits}")
    found.numbers |= {
        f"{name}: kills, calls that failed": f"{kills}, {len(faults)}",
        f"{name}: first answer after a kill, p50 and p90": " ".join(
            f"{percentile(waits, share) * 1000:.0f} ms" for share in (0.5, 0.9)
        ),
    }


async def _run(
    daemon: Daemon, where: tuple[str, str, str], key: str, kills: int, rate: int
) -> tuple[list[float], list[dict[str, Any]]]:
    """How long each kill was felt, and what failed; `where` is the child, the place, its word."""
    name, place, word = where
    answered: list[tuple[float, float]] = []
    faults: list[dict[str, Any]] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        caller = Caller(http, daemon, place, key, modern=False, word=word)
        await caller.begin()

        async def one(number: int) -> None:
            began = time.monotonic()
            got = await caller.call(number, "echo", number)
            if got.status == 200 and "error" not in got.message:
                answered.append((began, time.monotonic()))
            else:
                faults.append(got.fault or {"code": f"HTTP {got.status}"})

        async def load() -> None:
            number = 0
            async with asyncio.TaskGroup() as calls:
                while True:
                    number += 1
                    calls.create_task(one(number))
                    await asyncio.sleep(1 / rate)

        loading = asyncio.create_task(load())
        waits = []
        for _ in range(kills):
            await asyncio.sleep(LIFE)
            killed = await asyncio.to_thread(_kill, daemon, name)
            async with asyncio.timeout(60):
                while not (after := [end for begun, end in answered if begun > killed]):
                    await asyncio.sleep(0.005)
            waits.append(after[0] - killed)
        loading.cancel()
        with suppress(asyncio.CancelledError):
            await loading
    return waits, faults


def _kill(daemon: Daemon, name: str) -> float:
    """Kill the process; when."""
    os.kill(daemon.control("GET", f"/v1/connections/{name}")["child"]["pid"], signal.SIGKILL)
    return time.monotonic()

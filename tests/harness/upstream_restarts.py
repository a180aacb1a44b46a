"""R17: an upstream is restarted again and again under load, and its clients go on as they were.

Half of the calls may be repeated, the others not. No client opens a second session, nothing that may
not be repeated runs twice, every error is typed, and the upstream beside it notices nothing. It is
reached by itself, or through a virtual MCP that it stands in together with the one beside it.
"""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import aiohttp

from meshd.proxy.circuit import RESTART
from tests.harness.calling import Caller
from tests.harness.child_restarts import restart_child
from tests.harness.outcome import Outcome, percentile
from tests.harness.restarting import ERAS, Restarting
from tests.support.daemon import Daemon
from tests.support.virtuals import make

DOWN = 0.1
"""Seconds for which it is gone."""
BETWEEN = 0.4
RATE = 100
"""Calls a second."""
BACK = 0.1
"""Seconds after its return in which the first call is answered, mostly."""


WAYS = (*ERAS, *(f"virtual {era}" for era in ERAS), "stdio", "virtual stdio")
"""What is restarted; some are reached through a virtual MCP."""


def run(seed: int, *, full: bool, ways: Sequence[str] = WAYS) -> Outcome:
    """20 restarts of each kind under 100 calls a second; the short form 4 under 40, or 3 kills.

    The seed changes nothing here.
    """
    found, daemon = Outcome(), Daemon.fresh()
    try:
        daemon.start()
        for way in ways:
            *virtual, kind = way.split()
            if kind == "stdio":
                size = (20, RATE) if full else (3, 40)
                restart_child(daemon, found, *size, full=full, virtual=bool(virtual))
            else:
                made = _Run(daemon, kind, found, virtual=bool(virtual))
                asyncio.run(made.run(*((20, RATE) if full else (4, 40)), full=full))
    finally:
        daemon.remove()
    return found


@dataclass
class _Run:
    daemon: Daemon
    era: str
    found: Outcome
    virtual: bool
    answered: list[tuple[float, float]] = field(default_factory=list)
    """When each call that succeeded began and ended."""
    faults: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    numbers: int = 0

    @property
    def name(self) -> str:
        """Of the connection."""
        return f"in-{self.era}" if self.virtual else self.era

    async def run(self, restarts: int, rate: int, *, full: bool) -> None:
        upstream, beside = Restarting(self.era), Restarting("handshake")
        await upstream.come()
        await beside.come()
        names = self.name, f"{self.name}-beside"
        for name, server in zip(names, (upstream, beside), strict=True):
            await asyncio.to_thread(self.daemon.connect_http, name, server.url)
        key = await asyncio.to_thread(self.daemon.add_key, f"{self.name}-caller")
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            modern = self.era == "stateless"
            places, words = names, ("", "")
            if self.virtual:
                await asyncio.to_thread(make, self.daemon, f"{self.name}-team", *names)
                places = (f"{self.name}-team",) * 2
                words = tuple(f"{name}_" for name in names)
            caller, other = (
                Caller(http, self.daemon, place, key, modern=modern and not number, word=word)
                for number, place, word in zip(count(), places, words)
            )
            for one in (caller, other):
                await one.begin()
                await one.call(1, "look", 0)  # by which a virtual MCP begins its own session there
            hellos = beside.came["initialize"]
            calling = asyncio.create_task(self._call(caller, other, rate))
            backs, downs = await _restart(upstream, restarts)
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
        self._judge(upstream, downs, backs, full=full)
        self.found.expect(beside.came["initialize"] == hellos, f"{self.name}: the other began anew")
        await upstream.go()
        await beside.go()

    async def _call(self, caller: Caller, other: Caller, rate: int) -> None:
        async with asyncio.TaskGroup() as calls:
            while True:
                self.numbers += 1
                tool = "look" if self.numbers % 2 else "put"
                calls.create_task(self._one(caller.call(1, tool, self.numbers), tool))
                if self.numbers % 10 == 0:
                    calls.create_task(self._one(other.call(1, "put", self.numbers), "beside"))
                await asyncio.sleep(1 / rate)

    async def _one(self, call: Coroutine[Any, Any, Any], tool: str) -> None:
        began = time.monotonic()
        try:
            got = await call
        except (aiohttp.ClientError, ValueError) as error:
            self.faults.append((tool, {"code": f"no answer: {error!r}"}))
            return
        if got.status != 200 or "error" in got.message:
            self.faults.append((tool, got.fault or {"code": f"HTTP {got.status}"}))
        else:
            self.answered.append((began, time.monotonic()))

    def _judge(
        self, upstream: Restarting, downs: list[float], backs: list[float], *, full: bool
    ) -> None:
        era, found = self.name, self.found
        waits = [
            min((ended - back for began, ended in self.answered if ended > back), default=99.0)
            for back in backs
        ]
        codes = {str(fault.get("code")) for _, fault in self.faults}
        repeatable = sum(tool == "look" for tool, _ in self.faults)
        twice = [n for (tool, n), count in upstream.ran.items() if tool == "put" and count > 1]
        found.expect(codes <= {"upstream_failed"}, f"{era}: untyped failures: {codes}")
        # A machine that stalls makes of a restart an outage, in which calls may fail.
        stalled = max(downs) > RESTART / 2
        found.expect(stalled or not repeatable, f"{era}: {repeatable} calls that may be repeated")
        found.expect(
            all(tool != "beside" for tool, _ in self.faults), f"{era}: a call beside it failed"
        )
        found.expect(not twice, f"{era}: ran twice: {twice[:5]}")
        unsaid = [f for tool, f in self.faults if tool == "put" and "the call" not in f]
        found.expect(stalled or not unsaid, f"{era}: does not say that it may have run: {unsaid}")
        found.expect(max(waits) < 60, f"{era}: no call after a restart")
        found.expect(not full or percentile(waits, 0.5) <= BACK, f"{era}: back after {waits}")
        found.numbers |= {
            f"{era}: calls, failed that may not be repeated": f"{self.numbers}, {len(self.faults)}",
            f"{era}: first answer after its return, p50 and p90": " ".join(
                f"{percentile(waits, share) * 1000:.0f} ms" for share in (0.5, 0.9)
            ),
        }


async def _restart(upstream: Restarting, count: int) -> tuple[list[float], list[float]]:
    """When it was back each time, and how long it was gone."""
    backs, downs = [], []
    for _ in range(count):
        await asyncio.sleep(BETWEEN)
        gone = time.monotonic()
        await upstream.go()
        await asyncio.sleep(DOWN)
        await upstream.come()
        backs.append(time.monotonic())
        downs.append(backs[-1] - gone)
    await asyncio.sleep(BETWEEN)
    return backs, downs

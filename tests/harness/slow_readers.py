"""R21: many follow the events, and some of them do not read.

Nobody else waits for those, the daemon does not keep what they leave, they are cut, and when they
come back with their cursor they miss nothing.
"""

import asyncio
import json
import socket
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp

from meshd.core.process import raise_file_limit
from tests.harness.outcome import Outcome, percentile
from tests.harness.pressure import resident
from tests.support.daemon import Daemon
from tests.support.impatient import IMPATIENT, PATIENCE

CUT = 30.0
"""Seconds in which who does not read is cut; a gate of the full form."""
LATE = 5.0
"""The same for the short form beyond the daemon's patience there: it is busy."""
P99 = 0.5
"""Seconds from publish to a reader; a gate of the full form."""
GROWTH = 200 * 1024
"""KiB of memory; a gate of the full form."""
BULK, BULKS = 200 * 1024, 40
"""What fills the buffers of who does not read: bytes of an event, and how many. It is there before
the others come, who are told of small events alone."""
AT_ONCE = 32
"""Readers that come at a time: more strangers than that look like a flood."""
TICK = 0.25


@dataclass
class Readers:
    """Those who read, and what they saw."""

    daemon: Daemon
    keys: list[str]
    sent: dict[str, float] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    seen: list[set[int]] = field(default_factory=list)

    async def follow(self, http: aiohttp.ClientSession, after: int, follows: asyncio.Event) -> None:
        """Read until cancelled."""
        mine: set[int] = set()
        self.seen.append(mine)
        key = self.keys[len(self.seen) % len(self.keys)]
        path = f"{self.daemon.url}/v1/tail/events?after={after}"
        async with http.get(path, headers={"Authorization": f"Bearer {key}"}) as answer:
            follows.set()
            async for line in answer.content:
                if line.strip():
                    event = json.loads(line)
                    mine.add(event["meshseq"])
                    if event["type"] == "tick":
                        self.waits.append(time.monotonic() - self.sent[event["id"]])


def run(seed: int, *, full: bool) -> Outcome:
    """As many readers as all keys may be, of which a tenth do not read; the short form 60, soon cut."""
    raise_file_limit()
    found, daemon = Outcome(), Daemon.fresh()
    many, slow = (1000, 100) if full else (60, 6)
    try:
        daemon.start(prefix=() if full else IMPATIENT)
        asyncio.run(_all(daemon, found, many, slow, full=full))
    finally:
        daemon.remove()
    return found


async def _all(daemon: Daemon, found: Outcome, many: int, slow: int, *, full: bool) -> None:
    allow = "self/event.tail", "self/event.publish"
    key, *others = (daemon.add_key(f"reader-{number}", *allow) for number in range(1 + many // 60))
    first = daemon.control("GET", "/v1/events?limit=1")[0]["meshseq"]
    readers = Readers(daemon, [key, *others])
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=timeout
    ) as http:
        for number in range(BULKS):
            await _publish(http, readers, "bulk", number, "x" * BULK)
        start, before = first + BULKS, resident(daemon)
        tasks = await _come(readers, http, many - slow, start)
        deaf = [
            await asyncio.to_thread(_deaf, daemon, readers.keys[n % len(readers.keys)], first)
            for n in range(slow)
        ]
        began = time.monotonic()
        cut, peak, number = list[float](), resident(daemon), 0
        patience = CUT if full else PATIENCE + LATE
        while len(cut) < slow and time.monotonic() - began < 2 * patience:
            await _publish(http, readers, "tick", number, None)
            number += 1
            await asyncio.sleep(TICK)
            peak = max(peak, resident(daemon))
            gone = many - await asyncio.to_thread(_followed, daemon)
            cut += [time.monotonic() - began] * (gone - len(cut))
        last = (await _publish(http, readers, "tick", number, None))["id"]
        path = f"/v1/events/{last}"
        end = (await asyncio.to_thread(daemon.control, "GET", path))["meshseq"]
        await _caught_up(readers, end)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for link in deaf:
        link.close()
    wanted, ticks = set(range(first + 1, end + 1)), set(range(start + 1, end + 1))
    again = await asyncio.to_thread(_resume, daemon, first)
    missed = sum(mine != ticks for mine in readers.seen)
    found.expect(len(cut) == slow, f"{slow - len(cut)} who do not read were not cut")
    found.expect(max(cut, default=0) <= patience, f"one was cut after {max(cut, default=0):.1f} s")
    found.expect(not missed, f"{missed} who read missed an event")
    found.expect(wanted <= again, "who came back with a cursor missed an event")
    p99 = percentile(readers.waits, 0.99)
    found.expect(not full or p99 <= P99, f"p99 of who reads is {p99 * 1000:.0f} ms")
    found.expect(not full or peak - before <= GROWTH, f"it grew by {(peak - before) >> 10} MiB")
    found.numbers |= {
        "readers": many, "do not read": slow, "events": len(wanted),
        "publish to who reads, median and p99": f"{percentile(readers.waits, 0.5) * 1000:.0f} ms, "
        f"{p99 * 1000:.0f} ms",
        "memory": f"{(peak - before) / 1024:+.1f} MiB",
        "last one cut after": f"{max(cut, default=0):.1f} s",
    }  # fmt: skip


async def _come(
    readers: Readers, http: aiohttp.ClientSession, many: int, after: int
) -> list[asyncio.Task[None]]:
    tasks: list[asyncio.Task[None]] = []
    while len(tasks) < many:
        here = [asyncio.Event() for _ in range(min(AT_ONCE, many - len(tasks)))]
        tasks += [asyncio.create_task(readers.follow(http, after, one)) for one in here]
        await asyncio.gather(*(one.wait() for one in here))
    return tasks


def _deaf(daemon: Daemon, key: str, after: int) -> socket.socket:
    """A follower who reads the head of the answer and nothing more."""
    parts = urlsplit(daemon.url)
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    link.settimeout(60)
    link.connect((parts.hostname, parts.port))
    path = f"/v1/tail/events?after={after}"
    head = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {key}\r\n\r\n"
    link.sendall(head.encode())
    assert link.recv(12) == b"HTTP/1.1 200"
    return link


async def _publish(
    http: aiohttp.ClientSession, readers: Readers, kind: str, number: int, data: str | None
) -> dict[str, str]:
    name = f"{kind}-{number}"
    readers.sent[name] = time.monotonic()
    body = {"type": kind, "id": name, "data": data}
    async with http.post(
        f"{readers.daemon.url}/v1/events", json=body,
        headers={"Authorization": f"Bearer {readers.keys[0]}"},
    ) as answer:  # fmt: skip
        assert answer.status == 200, await answer.text()
        told: dict[str, str] = await answer.json()
        return told


async def _caught_up(readers: Readers, end: int, deadline: float = 60.0) -> None:
    """Until all who read have seen the last event, or for `deadline` seconds."""
    until = time.monotonic() + deadline
    while time.monotonic() < until and not all(end in mine for mine in readers.seen):
        await asyncio.sleep(0.05)


def _followed(daemon: Daemon) -> int:
    """Streams of events that the daemon still serves; who was cut cannot be told from outside."""
    shown = {one["name"]: one for one in daemon.control("GET", "/v1/metrics")}
    samples = shown["meshd_http_streams"]["samples"]
    return sum(int(one["value"]) for one in samples if one["labels"] == {"of": "control"})


def _resume(daemon: Daemon, after: int) -> set[int]:
    """What a reader is told who comes back with the cursor that it had."""
    body = daemon.ask("GET", f"/v1/tail/events?after={after}&follow=false").body
    return {json.loads(line)["meshseq"] for line in body.splitlines() if line}

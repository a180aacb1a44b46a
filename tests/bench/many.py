"""`python -m tests.bench.many`: a virtual MCP over 20 upstreams, one hung and one flapping.

Measured are its first list, which waits for the hung one up to a deadline and names it; its lists
from then on; and calls through the healthy ones meanwhile, which must notice nothing.
"""

import argparse
import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from tests.bench.server import meshd
from tests.harness.calling import Caller
from tests.harness.outcome import percentile
from tests.harness.restarting import Restarting
from tests.support.daemon import Daemon

UPSTREAMS = 20
"""With the two that are not well."""
HUNG, FLAPPING, HEALTHY = "hung", "flapping", "healthy{}"
UP, DOWN = 0.4, 0.2
"""Seconds for which the flapping one is there, and is gone."""


@dataclass
class Found:
    """Milliseconds, and what the answers said."""

    cold_ms: float
    cold_named: list[str]
    """Connections that the first list is said to lack, or to show as they were."""
    tools: int
    warm_ms: list[float] = field(default_factory=list)
    warm_unnamed: int = 0
    """Later lists that do not name the hung one."""
    call_ms: list[float] = field(default_factory=list)
    wrong: int = 0
    """Calls through healthy ones with another answer than theirs."""
    flaps: int = 0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m tests.bench.many", description=__doc__)
    parser.add_argument("--lists", type=int, default=500)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    asked = parser.parse_args()
    found = measured(asked.lists, asked.calls)
    print(msgspec.json.encode(found).decode() if asked.json else _text(found))


def measured(lists: int, calls: int, upstreams: int = UPSTREAMS) -> Found:
    """Run it."""
    with meshd() as daemon:
        return asyncio.run(_measured(daemon, lists, calls, upstreams))


async def _measured(daemon: Daemon, lists: int, calls: int, upstreams: int) -> Found:
    async with AsyncExitStack() as stack:
        hangs = asyncio.Event()
        hung = await stack.enter_async_context(_hung(hangs))
        flapping = await stack.enter_async_context(_there(Restarting("handshake")))
        urls = {HUNG: hung, FLAPPING: flapping.url}
        for number in range(upstreams - 2):
            server = await stack.enter_async_context(_there(Restarting("handshake", slow=0)))
            urls[HEALTHY.format(number)] = server.url
        await asyncio.to_thread(_connect, daemon, urls)
        key = await asyncio.to_thread(daemon.add_key, "bench")
        http = await stack.enter_async_context(aiohttp.ClientSession())
        client = Caller(http, daemon, "many", key, modern=True)
        hangs.set()
        found = await _cold(client)
        restless = asyncio.create_task(_flap(flapping, found))
        try:
            await asyncio.gather(
                _lists(client, lists, found), _calls(client, calls, upstreams - 2, found)
            )
        finally:
            restless.cancel()
            await asyncio.wait([restless])
        return found


def _connect(daemon: Daemon, urls: dict[str, str]) -> None:
    for name, url in urls.items():
        daemon.connect_http(name, url)
    daemon.control("POST", "/v1/virtuals", {"name": "many"})
    for name in urls:
        daemon.control("POST", "/v1/virtuals/many/children", {"child": name})


@asynccontextmanager
async def _there(server: Restarting) -> AsyncIterator[Restarting]:
    await server.come()
    try:
        yield server
    finally:
        await server.go()


@asynccontextmanager
async def _hung(hangs: asyncio.Event) -> AsyncIterator[str]:
    """The URL of a server that hangs up on everybody, and then never answers anybody."""
    over = asyncio.Event()

    async def ignore(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if hangs.is_set():
            await over.wait()
        writer.close()

    async with await asyncio.start_server(ignore, "127.0.0.1", 0) as server:
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
        finally:
            over.set()


async def _list(client: Caller) -> tuple[float, dict[str, Any]]:
    began = time.perf_counter()
    got = await client.ask(1, "tools/list", {})
    return (time.perf_counter() - began) * 1000, got.message["result"]


def _named(listed: dict[str, Any]) -> list[str]:
    return [mark["connection"] for mark in listed.get("_meta", {}).get("meshctl/stale", [])]


async def _cold(client: Caller) -> Found:
    took, listed = await _list(client)
    return Found(took, _named(listed), len(listed["tools"]))


async def _lists(client: Caller, number: int, found: Found) -> None:
    for _ in range(number):
        took, listed = await _list(client)
        found.warm_ms.append(took)
        found.warm_unnamed += HUNG not in _named(listed)


async def _calls(client: Caller, number: int, healthy: int, found: Found) -> None:
    for one, at in zip(range(number), itertools.cycle(range(healthy)), strict=False):
        began = time.perf_counter()
        got = await client.call(2, f"{HEALTHY.format(at)}_put", one)
        found.call_ms.append((time.perf_counter() - began) * 1000)
        content = got.message.get("result", {}).get("content", [{}])
        found.wrong += content[0].get("text") != json.dumps(one)


async def _flap(server: Restarting, found: Found) -> None:
    while True:
        await asyncio.sleep(UP)
        await server.go()
        await asyncio.sleep(DOWN)
        await server.come()
        found.flaps += 1


def _text(found: Found) -> str:
    def shown(times: list[float]) -> str:
        return f"p50 {percentile(times, 0.5):.1f} ms, p99 {percentile(times, 0.99):.1f} ms"

    first = f"{found.cold_ms:.0f} ms, {found.tools} tools, without {', '.join(found.cold_named)}"
    later = f"{shown(found.warm_ms)}, {found.warm_unnamed} do not name the hung one"
    calls = f"{shown(found.call_ms)}, {found.wrong} wrong of {len(found.call_ms)}"
    return "\n".join(
        (
            f"first list   {first} (budget 5000 ms)",
            f"later lists  {later} (budget 5 ms)",
            f"calls        {calls}, while one upstream flapped {found.flaps} times",
        )
    )


if __name__ == "__main__":
    main()

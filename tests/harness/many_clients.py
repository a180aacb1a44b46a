"""Many clients with the same request ids over one upstream: no answer ever reaches another client.

They cancel, hang up in the middle of a call and open sessions anew. Everyone's argument is its own,
and the upstream answers in its own order.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple, TypeVar

import aiohttp

from tests.harness.calling import Caller
from tests.harness.outcome import Outcome
from tests.harness.restarting import Restarting
from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.virtuals import make

T = TypeVar("T")

IDS = 3
"""Different request ids that a client uses; all use the same."""
KNOCKS = 10
"""Tries of a client to be let in."""
KINDS = ("handshake", "stateless", "http-sse", "stdio")
NAMES = (*KINDS, *(f"in-{kind}" for kind in KINDS))
"""The connections, named by what is behind them, and virtual MCPs over each of them."""


def run(
    seed: int,
    *,
    full: bool,
    prefix: tuple[str, ...] = (),
    patience: float = 60,
    names: tuple[str, ...] = NAMES,
) -> Outcome:
    """200 clients with 10 calls each over every kind of upstream; the short form 40 with 6."""
    found, daemon = Outcome(), Daemon.fresh()
    clients, calls = (200, 10) if full else (40, 6)
    try:
        daemon.start(prefix=prefix)
        if any(name.endswith("stdio") for name in names):
            daemon.connect("stdio", *stdio_server.command())
        size = _Size(clients, calls, patience)
        asyncio.run(_all(daemon, found, size, names, random.Random(seed)))
    finally:
        if prefix:
            daemon.kill()  # a damaged one waits long for calls that nobody answers
        daemon.remove()
    return found


class _Size(NamedTuple):
    """How many there are, and for how many seconds each waits."""

    clients: int
    calls: int
    patience: float


async def _all(
    daemon: Daemon, found: Outcome, size: _Size, names: tuple[str, ...], chance: random.Random
) -> None:
    kinds = {name.removeprefix("in-") for name in names}
    servers = {era: Restarting(era, slow=0.1) for era in kinds - {"stdio"}}
    for era, server in servers.items():
        await server.come()
        await asyncio.to_thread(daemon.connect_http, era, server.url)
    for name in names:
        if name.startswith("in-"):
            await asyncio.to_thread(make, daemon, name, name.removeprefix("in-"))
    keys = [await asyncio.to_thread(daemon.add_key, f"caller-{number}") for number in range(4)]
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=size.patience)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        for name in names:
            for modern in (False, True):
                tally: Counter[str] = Counter()
                made = [
                    Caller(http, daemon, name, keys[n % len(keys)], modern=modern)
                    for n in range(size.clients)
                ]
                await asyncio.gather(
                    *(
                        _client(caller, f"{name} {n}", size.calls, chance, tally)
                        for n, caller in enumerate(made)
                    )
                )
                era = "stateless" if modern else "handshake"
                found.expect(not tally["foreign"], f"{era} at {name}: {tally['foreign']} foreign")
                found.expect(not tally["failed"], f"{era} at {name}: {tally['failed']} failed")
                found.expect(
                    tally["own"] > size.clients, f"{era} at {name}: {tally['own']} answers"
                )
                found.numbers[f"{era} clients at {name}"] = dict(tally)
    for server in servers.values():
        await server.go()


async def _client(
    caller: Caller, name: str, calls: int, chance: random.Random, tally: Counter[str]
) -> None:
    await _through(caller.begin, tally)
    for number in range(calls):
        mark, ident = f"{name}-{number}", number % IDS
        asked = partial(caller.ask, ident, "tools/call", _asked(name, mark))
        call = asyncio.create_task(_through(asked, tally))
        match chance.randrange(6):
            case 0:
                await asyncio.sleep(chance.random() * 0.05)
                call.cancel()  # which hangs up
                await asyncio.gather(call, return_exceptions=True)
                tally["hung up"] += 1
                continue
            case 1:
                await asyncio.sleep(chance.random() * 0.05)
                await _through(partial(caller.cancel, ident), tally)
                tally["cancelled"] += 1
            case 2:
                await _through(caller.begin, tally)
        try:
            got = await call
        except (aiohttp.ClientError, TimeoutError):
            tally["failed"] += 1
            continue
        if not got.message:
            continue  # it was cancelled
        if got.message.get("id") != ident or (
            "result" in got.message and got.text not in (mark, {"n": mark})
        ):
            tally["foreign"] += 1
        elif "error" in got.message:
            tally["failed"] += 1
        else:
            tally["own"] += 1


async def _through(work: Callable[[], Awaitable[T]], tally: Counter[str]) -> T:
    """Knock again when turned away: so many at once may look like a flood of strangers."""
    for _ in range(KNOCKS - 1):
        try:
            return await work()
        except aiohttp.ClientConnectionError:
            tally["turned away"] += 1
    return await work()


def _asked(name: str, mark: str) -> dict[str, object]:
    place = name.split(maxsplit=1)[0]
    kind = place.removeprefix("in-")
    tool = "echo" if kind == "stdio" else "look"
    return {"name": tool if place == kind else f"{kind}_{tool}", "arguments": {"n": mark}}

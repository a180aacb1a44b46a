"""What is not one call after the other: long lists, streams, short sessions; beside the direct way."""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median

from tests.bench import load
from tests.bench.client import MARK, Client, message
from tests.bench.load import Load
from tests.bench.upstream import SESSION, VERSION

LISTS = (100, 1000)
EVENTS = 500
"""Notifications of one stream."""
CALLERS = 16
STREAMERS = 4
_GIVEN = re.compile(rb"\r\nmcp-session-id: *([^\r]+)", re.IGNORECASE)


@dataclass(frozen=True)
class ShapeRow:
    """Medians of the rounds. `share` is of the direct way's same round."""

    what: str
    unit: str
    share: float
    rate: float
    direct_rate: float
    errors: int


Run = Callable[[Client], Load]


def rows(
    direct: Client, through: Client, lists: dict[int, tuple[Client, Client]], seconds: float,
    rounds: int,
) -> list[ShapeRow]:  # fmt: skip
    """`lists` has, by the number of tools, the clients of both ways."""
    found = [
        _row(f"list of {tools} tools", "lists", _listing(tools, seconds), *pair, rounds)
        for tools, pair in lists.items()
    ]
    found.append(_row("streams", "events", _streaming(seconds), direct, through, rounds))
    opened = _row("sessions opened, used, closed", "sessions", _sessions(seconds), direct, through,
                  rounds)  # fmt: skip
    return [*found, opened]


def _row(what: str, unit: str, run: Run, direct: Client, through: Client, rounds: int) -> ShapeRow:
    turns = [(run(direct), run(through)) for _ in range(rounds)]
    return ShapeRow(
        what,
        unit,
        share=median(mine.rate / max(other.rate, 1e-9) for other, mine in turns),
        rate=median(mine.rate for _, mine in turns),
        direct_rate=median(other.rate for other, _ in turns),
        errors=sum(mine.errors + other.errors for other, mine in turns),
    )


def _listing(tools: int, seconds: float) -> Run:
    return lambda client: load.for_seconds(client.list(tools), CALLERS, seconds)


def _streaming(seconds: float) -> Run:
    def run(client: Client) -> Load:
        """Each call counts for its notifications; one is an error when its answer is not there."""
        done = load.for_seconds(client.stream(EVENTS), STREAMERS, seconds)
        return replace(done, calls=done.calls * EVENTS)

    return run


def _sessions(seconds: float) -> Run:
    return lambda client: asyncio.run(_open_and_close(client, seconds))


async def _open_and_close(client: Client, seconds: float) -> Load:
    """Sessions one after the other for so long, by several callers."""
    hello, took, errors = client.hello, list[float](), 0
    began = time.perf_counter()

    async def caller() -> None:
        nonlocal errors
        link = await load.open_link(hello)
        while time.perf_counter() < began + seconds:
            at = time.perf_counter()
            if await session(link, client):
                took.append(time.perf_counter() - at)
            else:
                errors += 1
        link[1].close()

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    spent = time.perf_counter() - began
    return Load(len(took), errors, spent, median(took or [0.0]) * 1000)


async def session(link: load.Link, client: Client, *, close: bool = True) -> bool:
    """Open a session, call once in it, and close it or leave it behind; whether all went well."""
    hello = client.hello
    head, _ = await load.exchange(link, hello.sent())
    given = _GIVEN.search(head)
    if given is None:
        return False
    headers = hello.headers | {SESSION: given[1].decode(), "MCP-Protocol-Version": VERSION}
    told = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
    await load.exchange(link, replace(hello, headers=headers, body=told).sent())
    call = message("tools/call", {"name": "echo", "arguments": {"text": MARK}})
    _, body = await load.exchange(link, replace(hello, headers=headers, body=call).sent())
    if not close:
        return MARK.encode() in body
    head, _ = await load.exchange(link, replace(hello, headers=headers, body=b"").sent("DELETE"))
    return MARK.encode() in body and head.startswith(b"HTTP/1.1 2")

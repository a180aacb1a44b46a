"""Load: so many callers that each ask again once they are answered.

wrk drives it where it is installed and the time is long enough for it, since it costs a tenth of
what a client in Python costs; a client on asyncio does the rest, and whatever is counted exactly.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.client import Asked

SCRIPT = Path(__file__).with_name("wrk.lua")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"transfer-encoding: *chunked", re.IGNORECASE)

Link = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Load:
    """What came of it: `calls` are those that were answered as they must be."""

    calls: int
    errors: int
    seconds: float
    p50_ms: float

    @property
    def rate(self) -> float:
        """Good calls a second."""
        return self.calls / self.seconds


def for_seconds(asked: Asked, callers: int, seconds: float) -> Load:
    """Ask for so long."""
    if seconds >= 1 and shutil.which("wrk"):
        return _wrk(asked, callers, round(seconds))
    return asyncio.run(_run(asked, callers, _lasting(seconds)))


def _lasting(seconds: float) -> Callable[[], bool]:
    """Whether the time still runs, which begins with the first question."""
    end: float | None = None

    def more() -> bool:
        nonlocal end
        now = time.perf_counter()
        end = end or now + seconds
        return now < end

    return more


def exactly(asked: Asked, callers: int, calls: int) -> Load:
    """Ask so many times, no more and no less."""
    left = iter(range(calls))
    return asyncio.run(_run(asked, callers, lambda: next(left, None) is not None))


def engine(seconds: float) -> str:
    """What drives a load of that length."""
    return "wrk" if seconds >= 1 and shutil.which("wrk") else "asyncio"


def _wrk(asked: Asked, callers: int, seconds: int) -> Load:
    headers = "\n".join(f"{name}: {value}" for name, value in asked.headers.items())
    given = {"BODY": asked.body.decode(), "HEADERS": headers, "MARK": asked.mark.decode()}
    done = subprocess.run(
        ["wrk", "-t1", f"-c{callers}", f"-d{seconds}s", "--timeout", "20s", "-s", SCRIPT, asked.url],
        env=os.environ | given, capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = json.loads(done.stdout.rpartition("RESULT ")[2])
    return Load(**told)


async def _run(asked: Asked, callers: int, more: Callable[[], bool]) -> Load:
    times: list[float] = []
    errors = 0
    data = asked.sent()

    async def caller() -> None:
        nonlocal errors
        link = await open_link(asked)
        while more():
            began = time.perf_counter()
            try:
                good = await _ask(link, data, asked.mark)
            except (OSError, EOFError):
                good = False
                link[1].close()
                link = await open_link(asked)
            if good:
                times.append(time.perf_counter() - began)
            else:
                errors += 1
        link[1].close()

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    seconds = time.perf_counter() - began
    return Load(len(times), errors, seconds, median(times or [0.0]) * 1000)


async def open_link(asked: Asked) -> Link:
    """A connection to where it is asked."""
    host, _, port = asked.url.split("/")[2].partition(":")
    return await asyncio.open_connection(host, int(port), limit=1 << 24)


async def _ask(link: Link, data: bytes, mark: bytes) -> bool:
    head, body = await exchange(link, data)
    return head.startswith(b"HTTP/1.1 200") and mark in body


async def exchange(link: Link, data: bytes) -> tuple[bytes, bytes]:
    """The head and the body of the answer to a request.

    Raises:
        OSError, EOFError: the connection broke.
    """
    reader, writer = link
    writer.write(data)
    head = await reader.readuntil(b"\r\n\r\n")
    if _CHUNKED.search(head):
        return head, b"".join([part async for part in _chunks(reader)])
    length = _LENGTH.search(head)
    return head, await reader.readexactly(int(length[1]) if length else 0)


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)

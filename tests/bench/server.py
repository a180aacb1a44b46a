"""A process with one small HTTP server on a free port: how it is run, and how it is started."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from tests.support.daemon import Daemon

ROOT = Path(__file__).parents[2]

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Started:
    """A process of the bench that serves MCP at `url`."""

    url: str
    pid: int


async def serve(handler: Handler) -> None:
    """Serve on a free port, print the URL and go on until the process is ended."""
    runner = web.ServerRunner(web.Server(handler, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}/mcp", flush=True)
    await asyncio.Event().wait()


def run(handler: Handler) -> None:
    """`serve` on the loop that meshd would take: uvloop's where it is installed."""
    factory = None
    with suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(handler))


@contextmanager
def meshd() -> Iterator[Daemon]:
    """A daemon in a home of its own, until the block is left."""
    daemon = Daemon.fresh()
    try:
        yield daemon.start(program=True)
    finally:
        daemon.remove()


@contextmanager
def started(module: str, *arguments: str) -> Iterator[Started]:
    """Run `tests.bench.MODULE` until the block is left."""
    command = [sys.executable, "-m", f"tests.bench.{module}", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Started(process.stdout.readline().strip(), process.pid)
        finally:
            process.terminate()

"""HTTP servers that answer prepared bytes, and what stands around a test of the client."""

import asyncio
import inspect
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from meshd.core.secret import Secret
from meshd.proxy.circuit import Circuit
from meshd.proxy.dial import Resolve, Trust
from meshd.proxy.http import HttpUpstream, Target
from meshd.proxy.http_pool import HttpPool

DEADLINE = 10.0
OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\nhi"


def on_both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test once on each event loop that the daemon may run on."""

    def run(*args: Any, loop: str, **fixtures: Any) -> None:
        module = asyncio if loop == "asyncio" else pytest.importorskip("uvloop")
        with asyncio.Runner(loop_factory=module.new_event_loop) as runner:
            runner.run(test(*args, **fixtures))

    found = inspect.signature(test)
    extra = inspect.Parameter("loop", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = found.replace(parameters=[*found.parameters.values(), extra])  # type: ignore[attr-defined]
    run.__name__, run.__module__, run.__doc__ = test.__name__, test.__module__, test.__doc__
    run.pytestmark = getattr(test, "pytestmark", [])  # type: ignore[attr-defined]
    return pytest.mark.parametrize("loop", ["asyncio", "uvloop"])(run)


@dataclass
class Peer:
    """The server's end of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        """The next request, whole.

        Raises:
            EOFError: the client has closed.
        """
        head = await self.reader.readuntil(b"\r\n\r\n")
        size = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return head + await self.reader.readexactly(int(size or 0))

    def reset(self) -> None:
        """Close without a word."""
        self.writer.transport.abort()

    async def until_closed(self) -> None:
        """Wait until the client has closed."""
        async with asyncio.timeout(DEADLINE):
            with suppress(ConnectionError):
                while await self.reader.read(65536):
                    pass


Serve = Callable[[Peer], Awaitable[None]]


@dataclass
class Server:
    """A server while it runs; `seen` are its requests."""

    port: int
    tls: bool = False
    connections: int = 0
    seen: list[bytes] = field(default_factory=list)

    def url(self, host: str = "127.0.0.1", path: str = "/mcp") -> str:
        return f"http{'s' * self.tls}://{host}:{self.port}{path}"


def answering(*answers: bytes, close: bool = False) -> Callable[[Server], Serve]:
    """Answers each request of a connection with the next of some bytes, the last one for ever."""

    def bound(server: Server) -> Serve:
        async def serve(peer: Peer) -> None:
            for number in range(1000):
                server.seen.append(await peer.request())
                peer.writer.write(answers[min(number, len(answers) - 1)])
                if close:
                    return

        return serve

    return bound


def serving(serve: Callable[[Server, Peer], Awaitable[None]]) -> Callable[[Server], Serve]:
    """One function for every connection."""
    return lambda server: lambda peer: serve(server, peer)


@asynccontextmanager
async def running(
    behaviour: Callable[[Server], Serve],
    context: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
) -> AsyncIterator[Server]:
    """A server on a free port. Each connection closes when its behaviour returns."""
    server = Server(0, tls=context is not None)
    serve = behaviour(server)
    tasks: set[asyncio.Task[Any]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.connections += 1
        with suppress(EOFError, ConnectionError, asyncio.CancelledError):
            await serve(Peer(reader, writer))
        writer.close()
        with suppress(ConnectionError, TimeoutError, ssl.SSLError):
            async with asyncio.timeout(1):
                await writer.wait_closed()
        writer.transport.abort()
        tasks.discard(task)

    listener = await asyncio.start_server(handle, host, 0, ssl=context)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        waiting = tuple(tasks)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def loopback(host: str, port: int) -> list[str]:
    """A resolver that knows one address."""
    return ["127.0.0.1"]


def pool(resolve: Resolve = loopback, trust: Trust | None = None, **limits: Any) -> HttpPool:
    """A pool that needs no names, patient unless said otherwise."""
    return HttpPool(resolve, trust or Trust(), **{"patience": DEADLINE, **limits})


def at(pool: HttpPool, url: str, **headers: str) -> HttpUpstream:
    """An upstream that is shown as `srv`."""
    own = {name.replace("_", "-"): Secret(value) for name, value in headers.items()}
    return HttpUpstream(pool, Target(Secret(url), "srv", own), Circuit())


async def ask(upstream: HttpUpstream, body: bytes = b"{}") -> tuple[int, bytes]:
    """Status and body of one call, let go as callers do."""
    async with asyncio.timeout(DEADLINE):
        response = await upstream.post(body, session=None, version=None)
        try:
            return response.status, await response.read(1 << 24)
        finally:
            response.release()

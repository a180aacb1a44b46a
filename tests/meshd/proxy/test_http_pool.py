"""Connections to upstreams over real sockets: kept, bounded, ended, and never asked twice."""

import asyncio
import gc
import random
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from meshd.proxy import http_wire
from meshd.proxy.dial import Dialer, Trust
from meshd.proxy.http_head import Place
from meshd.proxy.http_pool import HttpPool, Origin
from meshd.proxy.wake import WakeWatch
from meshd.wire.errors import Unavailable, UpstreamFailed, UpstreamTimeout
from tests.meshd.proxy.http_servers import (
    DEADLINE,
    HELLO,
    OK,
    Peer,
    Server,
    answering,
    ask,
    at,
    loopback,
    on_both_loops,
    pool,
    running,
    serving,
)

CLOSING = HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """A socket that is not closed warns when it is collected, and warnings are errors."""
    yield
    gc.collect()


async def silence(server: Server, peer: Peer) -> None:
    """Takes requests and answers none."""
    while True:
        server.seen.append(await peer.request())


@on_both_loops
async def test_connections_are_kept() -> None:
    """One after the other needs one; what is asked at the same time needs its own."""
    async with running(answering(HELLO)) as server, pool() as clients:
        upstream = at(clients, server.url())
        for _ in range(3):
            assert await ask(upstream) == (200, b"hi")
        assert server.connections == 1
        await asyncio.gather(*(ask(upstream) for _ in range(4)))
        assert server.connections == 4
        assert len(server.seen) == 7


@on_both_loops
async def test_connections_are_shared_within_a_place() -> None:
    """Not between places: another port or another name is another server."""
    async with (
        running(answering(HELLO)) as server,
        running(answering(HELLO)) as other,
        pool() as clients,
    ):
        await ask(at(clients, server.url(path="/one")))
        await ask(at(clients, server.url(path="/two"), Authorization="Bearer x"))
        assert server.connections == 1
        await ask(at(clients, server.url("localhost")))
        assert server.connections == 2
        await ask(at(clients, other.url()))
        assert other.connections == 1
    assert server.seen[0].startswith(b"POST /one ")
    assert b"Bearer" not in server.seen[0]


@on_both_loops
async def test_a_connection_that_the_server_closes_is_not_used_again() -> None:
    async with running(answering(CLOSING)) as server, pool() as clients:
        upstream = at(clients, server.url())
        await ask(upstream)
        await ask(upstream)
        assert server.connections == 2


@on_both_loops
async def test_a_server_that_ends_a_resting_connection() -> None:
    """The next request gets a new one, and nobody notices."""
    gone = asyncio.Event()

    async def serve(server: Server, peer: Peer) -> None:
        server.seen.append(await peer.request())
        peer.writer.write(HELLO)
        await gone.wait()

    async with running(serving(serve)) as server, pool() as clients:
        upstream = at(clients, server.url())
        origin = clients.origin(upstream._head.place)
        await ask(upstream)
        gone.set()
        async with asyncio.timeout(DEADLINE):
            while origin.open:
                await asyncio.sleep(0)
        assert not origin._resting
        assert await ask(upstream) == (200, b"hi")
        assert (server.connections, len(server.seen)) == (2, 2)


async def test_after_a_sleep_of_the_machine_nothing_that_rested_is_used() -> None:
    """The other end may have gone without a word; a request there would wait for ever."""
    clock, wall = [0.0], [0.0]

    async def serve(server: Server, peer: Peer) -> None:
        while True:
            server.seen.append(await peer.request())
            peer.writer.write(HELLO)

    watch = WakeWatch(lambda: clock[0], lambda: wall[0])
    async with running(serving(serve)) as server, pool(wake=watch) as clients:
        upstream = at(clients, server.url())
        for _ in range(2):
            assert await ask(upstream) == (200, b"hi")
        assert server.connections == 1
        wall[0] += 3600
        assert await ask(upstream) == (200, b"hi")
        assert (server.connections, len(server.seen)) == (2, 3)


def accept_and_answer(listener: socket.socket) -> socket.socket:
    """Serve the first request of the next connection, in a thread of its own."""
    wire, _ = listener.accept()
    wire.settimeout(DEADLINE)
    wire.recv(65536)
    wire.sendall(HELLO)
    return wire


@on_both_loops
@pytest.mark.parametrize("rested", [0.0, 1000.0], ids=["looked at", "not looked at"])
async def test_a_connection_that_ended_unnoticed(
    monkeypatch: pytest.MonkeyPatch, rested: float
) -> None:
    """The event loop did not turn once between the server's end and our request.

    A look finds out. Where none was taken the request fails: it might have been acted upon, so it
    is not sent again.
    """
    monkeypatch.setattr(http_wire, "RESTED", rested)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as threads:
        async with pool() as clients:
            upstream = at(clients, f"http://127.0.0.1:{listener.getsockname()[1]}/")
            first = threads.submit(accept_and_answer, listener)
            assert await ask(upstream) == (200, b"hi")
            wire = next(iter(clients.origin(upstream._head.place).open))
            second = threads.submit(accept_and_answer, listener)
            first.result().close()
            while not wire._poll.poll(1000):
                pass
            if rested:
                with pytest.raises(UpstreamFailed, match="before it answered"):
                    await ask(upstream)
            assert await ask(upstream) == (200, b"hi")
            second.result().close()


@on_both_loops
async def test_nothing_runs_twice() -> None:
    """However a server closes, it sees each request once at most, and each answered one once.

    The others fail with a typed error.
    """
    chance = random.Random(7)
    done: Counter[bytes] = Counter()

    async def serve(server: Server, peer: Peer) -> None:
        while chance.random() > 0.1:  # else it closes at rest
            if chance.random() < 0.1:
                await peer.reader.readexactly(10)
                return peer.reset()
            body = (await peer.request()).rpartition(b"\r\n")[2]
            if b"server/discover" not in body:  # the circuit's probe, which nobody acts upon
                done[body] += 1
            end = chance.random()
            if end < 0.1:
                return peer.reset()
            if end < 0.2:
                return None
            if end < 0.3:
                peer.writer.write(HELLO[:-1])
                return None
            peer.writer.write(CLOSING if end < 0.4 else HELLO)
            if end < 0.5:
                return None
        return None

    answered: set[bytes] = set()

    async with running(serving(serve)) as server, pool() as clients:
        upstream = at(clients, server.url())

        async def caller(name: int) -> None:
            for number in range(100):
                body = b"%d-%d" % (name, number)
                try:
                    assert await ask(upstream, body) == (200, b"hi")
                except UpstreamFailed:
                    continue
                answered.add(body)

        await asyncio.gather(*map(caller, range(6)))
    assert set(done.values()) == {1}
    assert answered <= set(done)
    assert len(answered) > 200
    assert len(done) - len(answered) > 50


@on_both_loops
async def test_there_is_a_bound_to_what_is_under_way() -> None:
    """Beyond it a request is refused, not queued; when one ended there is room again."""
    answer = asyncio.Event()

    async def serve(server: Server, peer: Peer) -> None:
        while True:
            server.seen.append(await peer.request())
            await answer.wait()
            peer.writer.write(HELLO)

    async with running(serving(serve)) as server, pool(bound=2) as clients:
        upstream = at(clients, server.url())
        waiting = [asyncio.create_task(ask(upstream)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="srv has 2 requests under way"):
            await ask(upstream)
        answer.set()
        assert await asyncio.gather(*waiting) == [(200, b"hi")] * 2
        assert await ask(upstream) == (200, b"hi")
        assert server.connections == 2


@on_both_loops
async def test_a_failed_connect_leaves_room() -> None:
    """Attempts count only while they last."""
    async with pool(bound=1) as clients:
        with socket.create_server(("127.0.0.1", 0)) as free:
            url = f"http://127.0.0.1:{free.getsockname()[1]}/?token=canary"
        for _ in range(3):
            with pytest.raises(
                UpstreamFailed, match="srv cannot be reached: Connection refused"
            ) as e:
                await ask(at(clients, url))
            assert "canary" not in str(e.value)


@on_both_loops
async def test_silence_is_given_up() -> None:
    """With a typed error, and the server sees the connection end."""
    ended = asyncio.Event()

    async def serve(_: Server, peer: Peer) -> None:
        await peer.request()
        await peer.until_closed()
        ended.set()

    async with running(serving(serve)) as server, pool(patience=0.1) as clients:
        with pytest.raises(UpstreamTimeout, match="srv did not answer"):
            await ask(at(clients, server.url()))
        await asyncio.wait_for(ended.wait(), DEADLINE)


@on_both_loops
async def test_silence_in_the_middle_is_given_up() -> None:
    async with running(answering(HELLO[:-1])) as server, pool(patience=0.1) as clients:
        with pytest.raises(UpstreamTimeout, match="srv stopped in the middle"):
            await ask(at(clients, server.url()))


@on_both_loops
async def test_rest_has_an_end() -> None:
    """A connection that nobody needs is closed, and then nothing is watched any more."""
    ended = asyncio.Event()

    async def serve(_: Server, peer: Peer) -> None:
        await peer.request()
        peer.writer.write(HELLO)
        await peer.until_closed()
        ended.set()

    async with running(serving(serve)) as server, pool(keep=0.1) as clients:
        await ask(at(clients, server.url()))
        await asyncio.wait_for(ended.wait(), DEADLINE)
        async with asyncio.timeout(DEADLINE):
            while clients._watch is not None:
                await asyncio.sleep(0.01)


@on_both_loops
@pytest.mark.parametrize("sent", [b"", HELLO[:-1]], ids=["before the head", "in the body"])
async def test_a_cancelled_call_closes_its_connection(sent: bytes) -> None:
    """The server learns of it, and nobody else gets the rest."""
    asked, ended = asyncio.Event(), asyncio.Event()

    async def serve(_: Server, peer: Peer) -> None:
        await peer.request()
        peer.writer.write(sent)
        asked.set()
        await peer.until_closed()
        ended.set()

    async with running(serving(serve)) as server, pool() as clients:
        call = asyncio.create_task(ask(at(clients, server.url())))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(ended.wait(), DEADLINE)


@on_both_loops
async def test_a_cancelled_connect_leaves_nothing() -> None:
    """Not a place taken, not a socket."""
    resolving = asyncio.Event()

    async def resolve(host: str, port: int) -> list[str]:
        resolving.set()
        await asyncio.Event().wait()
        return []

    async with pool(resolve, bound=1) as clients:
        for _ in range(2):
            call = asyncio.create_task(ask(at(clients, "http://host/")))
            await resolving.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call


@on_both_loops
async def test_an_answer_before_the_request_was_read() -> None:
    """It counts; the connection, in which the rest of the request is stuck, does not."""

    async def serve(server: Server, peer: Peer) -> None:
        server.seen.append(await peer.reader.readuntil(b"\r\n\r\n"))
        peer.writer.write(OK.replace(b"200", b"413") + b"Content-Length: 0\r\n\r\n")
        await peer.until_closed()

    async with running(serving(serve)) as server, pool() as clients:
        upstream = at(clients, server.url())
        assert await ask(upstream, b"x" * (32 << 20)) == (413, b"")
        assert await ask(upstream, b"x" * (32 << 20)) == (413, b"")
        assert server.connections == 2


@on_both_loops
async def test_a_session_is_ended() -> None:
    """DELETE gives the status alone."""
    gone = b"HTTP/1.1 204 No Content\r\n\r\n"
    async with running(answering(gone)) as server, pool() as clients:
        assert await at(clients, server.url()).delete(session="s", version=None) == 204
    assert server.seen[0].startswith(b"DELETE /mcp ")


@on_both_loops
async def test_closing_ends_what_is_under_way() -> None:
    """With a typed error; afterwards nothing is connected to any more."""
    async with running(serving(silence)) as server, pool() as clients:
        upstream = at(clients, server.url())
        call = asyncio.create_task(ask(upstream))
        async with asyncio.timeout(DEADLINE):
            while not server.seen:
                await asyncio.sleep(0)
        wire = next(iter(clients.origin(upstream._head.place).open))
        await clients.close()
        assert wire.closed
        with pytest.raises(UpstreamFailed):
            await call
        with pytest.raises(Unavailable, match="stopping"):
            await ask(upstream)


@on_both_loops
async def test_a_connection_that_opens_after_closing() -> None:
    """It is closed at once: nobody else would."""
    resolving, known, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def resolve(host: str, port: int) -> list[str]:
        resolving.set()
        await known.wait()
        return ["127.0.0.1"]

    async def serve(_: Server, peer: Peer) -> None:
        await peer.until_closed()
        ended.set()

    async with running(serving(serve)) as server, pool(resolve) as clients:
        call = asyncio.create_task(ask(at(clients, server.url("host"))))
        await resolving.wait()
        await clients.close()
        known.set()
        with pytest.raises(Unavailable, match="stopping"):
            await call
        await asyncio.wait_for(ended.wait(), DEADLINE)


async def test_a_connection_that_is_lost_at_once() -> None:
    """It is a failure to connect, and takes no place."""

    class Lost(Dialer):
        async def connect(self, protocol: Any) -> Any:
            wire = protocol()
            wire.connection_lost(None)
            return wire

    async with pool() as clients:
        origin = Origin(clients, Lost(Place(False, "host", 80), loopback, Trust(), 1), 1)
        for _ in range(2):
            with pytest.raises(UpstreamFailed, match="srv cannot be reached: it closed"):
                await origin.ask(b"?", "srv")


@on_both_loops
async def test_a_pool_that_was_never_used_closes() -> None:
    async with HttpPool(None, Trust(), patience=1):  # type: ignore[arg-type]
        pass

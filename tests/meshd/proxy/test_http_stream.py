"""Streams over real sockets: relayed as they come, and never faster than they are taken."""

import asyncio

import pytest

from meshd.proxy.http_wire import MAX_BUFFERED
from meshd.wire.errors import UpstreamFailed
from tests.meshd.proxy.http_servers import (
    DEADLINE,
    OK,
    Peer,
    Server,
    at,
    on_both_loops,
    pool,
    running,
    serving,
)

STREAM = OK + b"Content-Type: text/event-stream\r\n"
READ = 256 * 1024
"""Bytes that event loops read at once, at most."""


@on_both_loops
@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "until the end"])
async def test_events_come_as_they_are_sent(chunked: bool) -> None:
    """Each before the server sends the next."""
    taken = asyncio.Queue[None]()

    async def serve(server: Server, peer: Peer) -> None:
        server.seen.append(await peer.request())
        peer.writer.write(STREAM + b"Transfer-Encoding: chunked\r\n" * chunked + b"\r\n")
        for number in range(5):
            event = b"id: %d\n\n" % number
            peer.writer.write(b"%x\r\n%b\r\n" % (len(event), event) if chunked else event)
            await taken.get()
        peer.writer.write(b"0\r\n\r\n" * chunked)

    async with running(serving(serve)) as server, pool() as clients, asyncio.timeout(DEADLINE):
        upstream = at(clients, server.url())
        response = await upstream.get(session="s", version=None, last_event="6")
        assert response.content_type == "text/event-stream"
        found = []
        async for chunk in response.chunks():
            found.append(chunk)
            taken.put_nowait(None)
        assert found == [b"id: %d\n\n" % number for number in range(5)]
    assert b"\r\nLast-Event-ID: 6\r\n" in server.seen[0]


@on_both_loops
async def test_a_slow_reader_bounds_what_is_held() -> None:
    """However much the server has to say; and every byte arrives."""
    size = 16 << 20
    piece = bytes(range(256)) * 256

    async def serve(server: Server, peer: Peer) -> None:
        await peer.request()
        peer.writer.write(OK + b"Content-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(piece)):
            peer.writer.write(piece)
            await peer.writer.drain()
            server.seen.append(b"")

    async with running(serving(serve)) as server, pool() as clients, asyncio.timeout(DEADLINE):
        response = await at(clients, server.url()).post(b"{}", session=None, version=None)
        seen = -1
        while seen < len(server.seen):  # until the server is stuck
            seen = len(server.seen)
            await asyncio.sleep(0.05)
        assert len(server.seen) < size // len(piece)
        assert response.buffered <= MAX_BUFFERED + READ
        whole = bytearray()
        async for chunk in response.chunks():
            assert len(chunk) <= MAX_BUFFERED + READ
            whole += chunk
        assert whole == piece * (size // len(piece))


@on_both_loops
async def test_a_large_answer_is_read_whole() -> None:
    """Also where it is larger than what waits for a slow reader."""
    size = 4 << 20

    async def serve(_: Server, peer: Peer) -> None:
        await peer.request()
        peer.writer.write(OK + b"Content-Length: %d\r\n\r\n" % size + bytes(size))
        await peer.until_closed()

    async with running(serving(serve)) as server, pool() as clients, asyncio.timeout(DEADLINE):
        response = await at(clients, server.url()).post(b"{}", session=None, version=None)
        assert await response.read(size) == bytes(size)


@on_both_loops
async def test_a_stream_that_is_let_go_ends() -> None:
    """The server learns that nobody listens."""
    ended = asyncio.Event()

    async def serve(_: Server, peer: Peer) -> None:
        await peer.request()
        peer.writer.write(STREAM + b"\r\n: open\n\n")
        await peer.until_closed()
        ended.set()

    async with running(serving(serve)) as server, pool() as clients, asyncio.timeout(DEADLINE):
        response = await at(clients, server.url()).get(session=None, version=None, last_event=None)
        async for _ in response.chunks():
            break
        response.release()
        await ended.wait()


@on_both_loops
async def test_a_stream_that_is_reset_fails() -> None:
    """After what had come."""

    async def serve(_: Server, peer: Peer) -> None:
        await peer.request()
        peer.writer.write(STREAM + b"Transfer-Encoding: chunked\r\n\r\n3\r\n: a\r\n")
        await peer.writer.drain()
        await peer.reader.read(1)

    async with running(serving(serve)) as server, pool() as clients, asyncio.timeout(DEADLINE):
        response = await at(clients, server.url()).get(session=None, version=None, last_event=None)
        chunks = response.chunks()
        assert await anext(chunks) == b": a"
        server.seen.clear()
        waiting = asyncio.ensure_future(anext(chunks))
        next(iter(clients.origin(at(clients, server.url())._head.place).open))._transport.write(
            b"x"
        )
        with pytest.raises(UpstreamFailed, match="middle of an answer"):
            await waiting

"""A TLS handshake under way is a connection: it takes a place, and gives it back."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest
from aiohttp import web

from meshd.core import http_connection
from meshd.core.answers import json_answer
from meshd.core.clock import SystemClock
from meshd.core.http_limits import Limits
from meshd.core.http_server import HttpServer
from meshd.core.tls import Certificate
from tests.meshd.proxy.http_servers import on_both_loops
from tests.support.certificates import write_certificate

PATIENCE = 60.0


class House:
    """A server with TLS, and its clients."""

    def __init__(self, server: HttpServer, port: int, trust: ssl.SSLContext) -> None:
        self.server = server
        self.port = port
        self.trust = trust

    async def silent(self) -> socket.socket:
        """A connection that never says hello."""
        wire = socket.socket()
        wire.setblocking(False)
        await asyncio.get_running_loop().sock_connect(wire, ("127.0.0.1", self.port))
        return wire

    async def ask(self) -> bytes:
        """What an honest client is answered."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.trust)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        try:
            return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()

    async def holds(self, connections: int) -> None:
        """Wait until so many are inside."""
        async with asyncio.timeout(PATIENCE):
            while self.server.crowd != connections:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def opened(folder: Path, limits: Limits) -> AsyncIterator[House]:
    file = write_certificate(folder / "mesh.pem")

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return json_answer({})

    server = HttpServer(answer, SystemClock(), limits=limits)
    listener = socket.create_server(("127.0.0.1", 0))
    await server.open(listener, Certificate(file, file).context)
    port = listener.getsockname()[1]
    try:
        yield House(server, port, ssl.create_default_context(cafile=str(file)))
    finally:
        await server.close(asyncio.Event())
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", port)


async def gone(wire: socket.socket) -> bool:
    """Whether the server hung up, without a word; waits for it."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await asyncio.get_running_loop().sock_recv(wire, 100) == b""
    except ConnectionError:
        return True


@on_both_loops
async def test_the_silent_are_counted_and_the_oldest_surplus_goes(tmp_path: Path) -> None:
    """As with plain connections: after a moment, and who has said hello keeps being served."""
    limits = Limits(strangers=3, moment=0.05, sweep=0.01)
    async with opened(tmp_path, limits) as house:
        wires = [await house.silent() for _ in range(5)]
        assert await gone(wires[0])
        assert await gone(wires[1])
        assert house.server.crowd == 3
        assert (await house.ask()).startswith(b"HTTP/1.1 200 ")
        for wire in wires:
            wire.close()
        await house.holds(0)


@on_both_loops
async def test_a_handshake_that_fails_or_never_ends_gives_its_place_back(tmp_path: Path) -> None:
    async with opened(tmp_path, Limits(head=0.2)) as house:
        with closing(await house.silent()) as plain, closing(await house.silent()) as wire:
            await house.holds(2)
            await asyncio.get_running_loop().sock_sendall(plain, b"GET / HTTP/1.1\r\n\r\n" * 20)
            assert await gone(wire)
            await house.holds(0)


@on_both_loops
async def test_a_full_house_hangs_up_and_has_room_again(tmp_path: Path) -> None:
    """A handshake keeps the one place there is, and hands it on to what is said afterwards."""
    async with opened(tmp_path, Limits(connections=1)) as house:
        with closing(await house.silent()) as first, closing(await house.silent()) as second:
            assert await gone(second)
            assert house.server.crowd == 1
            first.close()
            await house.holds(0)
        assert (await house.ask()).startswith(b"HTTP/1.1 200 ")


@on_both_loops
async def test_who_is_turned_away_after_the_handshake_cannot_linger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS is closed by both sides; the daemon does not wait for the one that says nothing."""
    monkeypatch.setattr(http_connection, "LINGER", 0.1)
    limits = Limits(strangers=1, moment=0.05, sweep=0.01)
    async with opened(tmp_path, limits) as house:
        mute = await asyncio.to_thread(shaken, house)
        _, other = await asyncio.open_connection("127.0.0.1", house.port, ssl=house.trust)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(limits.stall - 5):
            with suppress(ConnectionError), closing(mute):
                while await loop.sock_recv(mute, 4096):
                    pass
        other.close()


def shaken(house: House) -> socket.socket:
    """A connection after its handshake, whose client goes on without TLS."""
    wire = socket.create_connection(("127.0.0.1", house.port), timeout=PATIENCE)
    bare = wire.dup()
    bare.setblocking(False)
    with house.trust.wrap_socket(wire, server_hostname="127.0.0.1"):
        return bare

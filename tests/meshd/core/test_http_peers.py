"""Who may speak plain HTTP, and who stands for many."""

import asyncio
import socket

import pytest

from meshd.core.answers import json_answer
from meshd.core.clock import SystemClock
from meshd.core.http_limits import Limits
from meshd.core.http_peers import Peers
from meshd.core.http_server import HttpServer

PROXIES = ("10.0.0.0/8", "fd00::1")


@pytest.mark.parametrize(
    ("address", "enters", "is_proxy"),
    [
        ("127.0.0.1", True, False), ("127.8.0.1", True, False), ("::1", True, False),
        ("10.1.2.3", True, True), ("::ffff:10.1.2.3", True, True), ("fd00::1", True, True),
        ("fd00::2", False, False), ("192.168.1.1", False, False), ("::ffff:8.8.8.8", False, False),
        ("fe80::1%eth0", False, False), ("", True, False),
    ],
)  # fmt: skip
def test_without_tls(address: str, enters: bool, is_proxy: bool) -> None:
    peers = Peers(PROXIES, everybody=False)
    assert (peers.may_enter(address), peers.is_proxy(address)) == (enters, is_proxy)


@pytest.mark.parametrize(
    ("address", "single"),
    [
        ("127.0.0.1", False), ("::1", False), ("10.1.2.3", False), ("::ffff:10.1.2.3", False),
        ("", False), ("8.8.8.8", True), ("fd00::2", True),
    ],
)  # fmt: skip
def test_an_address_of_one_client(address: str, single: bool) -> None:
    assert Peers(PROXIES).is_single(address) == single


def test_with_tls_everybody_enters_and_trust_is_replaced() -> None:
    peers = Peers(PROXIES)
    assert peers.may_enter("8.8.8.8")
    peers.trust(["8.8.8.8"])
    assert peers.is_proxy("8.8.8.8")
    assert not peers.is_proxy("10.1.2.3")


async def ask(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


class Far(Peers):
    """Sees every connection as from elsewhere."""

    def may_enter(self, address: str) -> bool:
        return super().may_enter("192.168.1.1" if address else "")


@pytest.mark.parametrize(("proxies", "status"), [((), b"403"), (("192.168.0.0/16",), b"200")])
async def test_the_server_turns_away_who_may_not_enter(
    proxies: tuple[str, ...], status: bytes
) -> None:
    async def answer(request: object) -> object:
        return json_answer({})

    server = HttpServer(answer, SystemClock(), peers=Far(proxies, everybody=False))
    listener = socket.create_server(("127.0.0.1", 0))
    await server.open(listener)
    try:
        said = await ask(listener.getsockname()[1])
        assert said.split(b" ")[1] == status
    finally:
        await server.close(asyncio.Event())


@pytest.mark.parametrize(("proxies", "kept"), [((), 2), (("127.0.0.0/8",), 8)])
async def test_a_proxy_is_no_crowd_of_strangers(proxies: tuple[str, ...], kept: int) -> None:
    """All its clients come from one address, which is nobody's flood."""
    limits = Limits(strangers=2, moment=0.0, sweep=0.01)
    server = HttpServer(lambda _: None, SystemClock(), limits=limits, peers=Peers(proxies))  # type: ignore[arg-type]
    listener = socket.create_server(("127.0.0.1", 0))
    await server.open(listener)
    opened = [await asyncio.open_connection(*listener.getsockname()) for _ in range(8)]
    ended = [asyncio.create_task(reader.read()) for reader, _ in opened]
    try:
        if kept == 8:
            await asyncio.wait(ended, timeout=0.2)
        else:
            async with asyncio.timeout(20):
                while sum(task.done() for task in ended) < 8 - kept:
                    await asyncio.wait(
                        [task for task in ended if not task.done()],
                        return_when=asyncio.FIRST_COMPLETED,
                    )
        assert sum(not task.done() for task in ended) == kept
    finally:
        for _, writer in opened:
            writer.close()
        await server.close(asyncio.Event())
        await asyncio.gather(*ended, return_exceptions=True)

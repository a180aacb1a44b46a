"""Too many and too much: who is known is still served, and memory stays flat."""

import asyncio
import os
import resource
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from meshd.core.http_limits import Crowd, Limits
from meshd.gateway.streams import OpenStreams
from meshd.wire.errors import MeshError, TooMany, Unavailable
from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.strict import LIMITS, STRICT
from tests.support.wait import until

MIB = 1024 * 1024


class Guest:
    """A connection that only remembers what it was told."""

    def __init__(self, address: str = "a") -> None:
        self.address = address
        self.told: MeshError | None = None

    def turn_away(self, error: MeshError) -> None:
        self.told = error


def crowd(connections: int = 10, strangers: int = 2) -> Crowd[Guest]:
    return Crowd(Limits(connections=connections, strangers=strangers, moment=1.0))


def test_surplus_strangers_go_after_their_moment_oldest_first() -> None:
    inside = crowd()
    guests = [Guest() for _ in range(4)]
    for at, guest in enumerate(guests):
        inside.enter(guest, at * 0.1)
    inside.thin(0.9)
    assert [g.told for g in guests] == [None] * 4
    inside.thin(1.5)
    assert [type(g.told) for g in guests] == [Unavailable, Unavailable, type(None), type(None)]
    assert len(inside) == 2


def test_an_authenticated_connection_takes_no_strangers_place() -> None:
    inside = crowd()
    known, *others = guests = [Guest() for _ in range(3)]
    for guest in guests:
        inside.enter(guest, 0)
    inside.trust(known)
    inside.thin(9)
    assert [g.told for g in guests] == [None] * 3
    assert len(others) == 2


def test_addresses_are_counted_apart() -> None:
    inside = crowd()
    guests = [Guest(address) for address in "aabbcc"]
    for guest in guests:
        inside.enter(guest, 0)
    inside.thin(9)
    assert not [g for g in guests if g.told]


def test_a_full_house_shows_surplus_strangers_out_at_once() -> None:
    inside = crowd(connections=4)
    guests = [Guest() for _ in range(4)]
    for guest in guests:
        inside.enter(guest, 0)
    inside.enter(late := Guest("b"), 0)
    assert guests[0].told is not None
    assert late.told is None
    assert len(inside) == 4


def test_a_full_house_of_known_guests_takes_nobody() -> None:
    inside = crowd(connections=4)
    for _ in range(4):
        inside.enter(guest := Guest(), 0)
        inside.trust(guest)
    with pytest.raises(Unavailable):
        inside.enter(Guest(), 0)
    inside.leave(guest)
    inside.enter(Guest(), 0)


async def test_a_key_holds_so_many_streams_and_no_more() -> None:
    streams = OpenStreams(most=2)

    async def hold(holder: str) -> None:
        with streams.one(holder):
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(hold("one")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TooMany), streams.one("one"):
        pass
    with streams.one("other"):
        pass
    streams.end()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    with pytest.raises(Unavailable), streams.one("one"):
        pass


@pytest.fixture(scope="module")
def strict() -> Iterator[Daemon]:
    made = Daemon.fresh().start(prefix=STRICT)
    made.connect("stand-in", *stdio_server.command())
    yield made
    made.remove()


def dial(daemon: Daemon) -> socket.socket:
    parts = urlsplit(daemon.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=20)


def test_during_a_flood_who_has_a_key_is_served(strict: Daemon) -> None:
    """500 half heads and 300 that are silent, in a house of 400: calls and the socket answer."""
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 1000
    key = strict.add_key("flooded")
    strict.rpc("stand-in", "ping", key=key)
    with ExitStack() as stack:
        for number in range(800):
            wire = stack.enter_context(closing(dial(strict)))
            if number < 500:
                with suppress(ConnectionError):
                    wire.sendall(b"GET /health HTTP/1.1\r\nHost: ")
            if number % 80 == 79:
                assert strict.rpc("stand-in", "ping", key=key).status == 200
        began = time.monotonic()
        assert strict.rpc("stand-in", "ping", key=key).status == 200
        assert strict.ask("GET", "/v1/status").status == 200
        assert time.monotonic() - began < 2
        until(lambda: _connections(strict) <= LIMITS.strangers + 5, 10)


def _connections(daemon: Daemon) -> int:
    """Files of the daemon that are sockets; all of its others are few and constant."""
    links = Path(f"/proc/{daemon.pid}/fd")
    if not os.access(links, os.R_OK):
        pytest.skip("the daemon shows its files to root alone, on Linux")
    found = 0
    for link in links.iterdir():
        with suppress(OSError):
            found += str(link.readlink()).startswith("socket:")
    return found - 10


@pytest.mark.parametrize("framing", ["stated", "chunked", "packed"])
def test_a_gibibyte_is_refused_soon_and_held_nowhere(strict: Daemon, framing: str) -> None:
    """Within a second of sending, and memory does not grow by more than a few bodies.

    What is packed is not unpacked to see how much it is: a bomb is refused by its coding.
    """
    key = strict.add_key(f"gib-{framing}")
    host = strict.url.removeprefix("http://")
    coded = "Transfer-Encoding: chunked"
    sized = {
        "stated": f"Content-Length: {1024 * MIB}",
        "chunked": coded,
        "packed": f"{coded}\r\nContent-Encoding: gzip",
    }
    bomb = zlib.compress(bytes(MIB), wbits=31)
    head = (
        f"POST /mcp/stand-in HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\n{sized[framing]}\r\n\r\n"
    )
    piece = {
        "stated": b" " * MIB,
        "chunked": b"100000\r\n" + b" " * MIB + b"\r\n",
        "packed": b"%x\r\n%b\r\n" % (len(bomb), bomb),
    }[framing]
    before = strict.control("GET", "/v1/daemon")["rss_bytes"]
    began = time.monotonic()
    with closing(dial(strict)) as wire:
        wire.sendall(head.encode())
        said = b""
        for _ in range(1024):
            try:
                wire.sendall(piece)
                wire.setblocking(False)
                with suppress(BlockingIOError):
                    said = said or wire.recv(65536)
                wire.settimeout(20)
            except ConnectionError:
                break
            if said:
                break
        assert said.startswith(b"HTTP/1.1 415 " if framing == "packed" else b"HTTP/1.1 413 ")
        assert time.monotonic() - began < 1.5
    assert strict.control("GET", "/v1/daemon")["rss_bytes"] - before < 20 * MIB

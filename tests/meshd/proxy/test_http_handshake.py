"""Sessions at a handshake upstream, and who has to make room for whom."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

from meshd.core.tasks import TaskGroup
from meshd.protocol.jsonrpc import Reply
from meshd.proxy import http_handshake
from meshd.proxy.adapter import Asker, unheard
from meshd.proxy.http_handshake import HandshakeHttp
from meshd.wire.errors import TooMany


class Session:
    """One that answers once it may, and knows whether it was closed."""

    confuses = False

    def __init__(self, gate: asyncio.Event) -> None:
        self.gate = gate
        self.calls = 0
        self.closed = asyncio.Event()

    async def request(self, _method: str, _params: bytes = b"", **_: Any) -> Reply:
        self.calls += 1
        await self.gate.wait()
        return Reply(b"{}", None)

    async def tell(self, _message: bytes) -> None:
        """Nothing is told here."""

    async def close(self) -> None:
        self.closed.set()


class House:
    """An upstream with room for four sessions, two of them for one principal."""

    def __init__(self, tasks: TaskGroup) -> None:
        self.gate = asyncio.Event()
        self.made: list[Session] = []
        self.confuses = False
        self.tasks = tasks
        self.http = HandshakeHttp(self.begin, tasks)

    def begin(self, _capabilities: bytes, **_: Any) -> Any:
        self.made.append(Session(self.gate))
        self.made[-1].confuses = self.confuses
        return self.made[-1]

    async def ask(self, who: str, declared: bytes) -> Reply:
        return await self.http.ask("tools/call", {}, Asker(who, declared), unheard)

    async def held(self, who: str, declared: bytes) -> "asyncio.Task[Reply]":
        """A call that is under way."""
        before = sum(session.calls for session in self.made)
        task = self.tasks.start("call", self.ask(who, declared))
        async with asyncio.timeout(60):
            while sum(session.calls for session in self.made) == before:
                await asyncio.sleep(0)
        return task


@pytest.fixture
async def house(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(http_handshake, "MAX_SESSIONS", 4)
    monkeypatch.setattr(http_handshake, "MAX_SESSIONS_OF", 2)
    async with TaskGroup("test") as tasks:
        yield House(tasks)


async def test_one_principal_makes_room_among_its_own_sessions(house: House) -> None:
    """However much it declares, another's session stays."""
    house.gate.set()
    await house.ask("other", b"{}")
    for number in range(4):
        await house.ask("mine", b'{"n":%d}' % number)
    _own, other, *mine = house.made
    await asyncio.wait_for(mine[1].closed.wait(), 60)
    assert [session.closed.is_set() for session in (other, *mine)] == [
        False, True, True, False, False,
    ]  # fmt: skip


async def test_a_session_that_nobody_uses_any_more_is_ended(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client is of the era that does not say that it leaves. One that is in use stays."""
    monkeypatch.setattr(http_handshake, "IDLE", 0.01)
    call = await house.held("mine", b"{}")
    held, house.gate = house.gate, asyncio.Event()
    house.gate.set()
    await house.ask("other", b"{}")
    await asyncio.wait_for(house.made[2].closed.wait(), 60)
    assert not house.made[1].closed.is_set()
    held.set()
    await asyncio.wait_for(call, 60)
    await asyncio.wait_for(house.made[1].closed.wait(), 60)


async def test_a_session_with_a_call_under_way_is_not_closed_for_another(house: House) -> None:
    """Where all of them have one, a further call is refused, and told so."""
    calls = [await house.held("a", b"{}"), await house.held("a", b'{"n":1}')]
    with pytest.raises(TooMany, match="in use"):
        await house.ask("a", b'{"n":2}')
    calls += [await house.held("b", b"{}"), await house.held("c", b"{}")]
    with pytest.raises(TooMany, match="in use"):
        await house.ask("d", b"{}")
    house.gate.set()
    assert [reply.result for reply in await asyncio.gather(*calls)] == [b"{}"] * 4
    assert (await house.ask("d", b"{}")).result == b"{}"
    assert not any(session.closed.is_set() for session in house.made[2:])


async def test_calls_that_are_not_told_apart_share_when_there_is_no_room_for_more(
    house: House,
) -> None:
    """None is refused for the sake of it, nor does it take the room of whoever comes first."""
    house.confuses = True
    calls = [await house.held("a", b"{}") for _ in range(5)]
    _own, first, *more = house.made
    assert [session.calls for session in (first, *more)] == [3, 1, 1]
    calls.append(await house.held("a", b'{"n":1}'))
    calls += [await house.held("b", b"{}") for _ in range(3)]
    calls.append(await house.held("c", b"{}"))
    with pytest.raises(TooMany):
        await house.ask("d", b"{}")
    house.gate.set()
    assert [reply.result for reply in await asyncio.gather(*calls)] == [b"{}"] * len(calls)


async def test_a_hundred_callers_at_once_are_all_served() -> None:
    """Each with five calls, at a server that asks beside its answers; sessions stay bounded."""
    async with TaskGroup("test") as tasks:
        house = House(tasks)
        house.confuses = True
        calls = [await house.held(f"p{n % 100}", b"{}") for n in range(500)]
        house.gate.set()
        assert [reply.result for reply in await asyncio.gather(*calls)] == [b"{}"] * 500
        assert len(house.made) == 1 + 100 + http_handshake.MAX_SESSIONS


async def test_nothing_is_left_of_it_once_it_was_closed_with_calls_under_way(
    house: House,
) -> None:
    """No timer for a session that is closed already: one would hold all of it for an hour."""
    call = await house.held("mine", b"{}")
    await house.http.close()
    house.gate.set()
    await call
    left = weakref.ref(house.http)
    del house.http, call
    gc.collect()
    assert left() is None

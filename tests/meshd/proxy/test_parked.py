"""Calls that wait for their clients' answers: whose they are, for how long, and how many."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from meshd.core.tasks import TaskGroup
from meshd.protocol import jsonrpc
from meshd.protocol.jsonrpc import Reply
from meshd.protocol.members import raw
from meshd.proxy import parked
from meshd.proxy.adapter import Asker
from meshd.proxy.parked import Call, Parking
from meshd.wire.errors import TooMany, UpstreamFailed

ASKER = Asker("key_1", b'{"elicitation":{}}')
QUESTION = b'{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"n":1.0}}'


class Server:
    """What a call's work is: it asks once and answers with what it was told."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[bytes] = asyncio.Queue()
        self.cancelled = asyncio.Event()

    async def work(self, call: Call) -> Reply:
        try:
            assert await call.attend(jsonrpc.parse(QUESTION), QUESTION)
            return Reply(await self.told.get(), None)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    def call(self, asker: Asker = ASKER) -> Call:
        return Call(asker, self.told.put)


@pytest.fixture
async def tasks() -> AsyncIterator[TaskGroup]:
    async with TaskGroup("test") as group:
        yield group


async def begun(parking: Parking, server: Server, asker: Asker = ASKER) -> str:
    """Begin a call and give the name under which it waits."""
    reply = await parking.begin(server.call(asker), server.work, print)
    asked = json.loads(reply.result or b"")
    assert asked["resultType"] == "input_required"
    assert list(asked["inputRequests"].values()) == [
        {"method": "elicitation/create", "params": {"n": 1.0}}
    ]
    return str(asked["requestState"])


async def test_the_answer_goes_on(tasks: TaskGroup) -> None:
    """To the very request that the server made; then the call ends as any other."""
    parking, server = Parking(tasks), Server()
    call = parking.take(await begun(parking, server), ASKER)
    assert call is not None
    answers = {"request-1": raw({"action": "accept"}), "other": raw(1)}
    reply = await parking.resume(call, answers, {}, print)
    assert json.loads(reply.result or b"") == {
        "jsonrpc": "2.0", "id": "q", "result": {"action": "accept"},
    }  # fmt: skip
    assert len(parking) == 0


async def test_an_answer_that_is_missing_is_asked_for_again(tasks: TaskGroup) -> None:
    parking, server = Parking(tasks), Server()
    call = parking.take(await begun(parking, server), ASKER)
    assert call is not None
    again = await parking.resume(call, {}, {}, print)
    assert json.loads(again.result or b"")["resultType"] == "input_required"
    assert len(parking) == 1


async def test_a_call_is_its_principals_alone(tasks: TaskGroup) -> None:
    parking, server = Parking(tasks), Server()
    name = await begun(parking, server)
    assert parking.take(name, Asker("key_2")) is None
    assert parking.take(None, ASKER) is None
    assert parking.take(name, ASKER) is not None
    assert parking.take(name, ASKER) is None


async def test_it_waits_for_a_while(tasks: TaskGroup) -> None:
    """Then it is cancelled at the server."""
    parking, server = Parking(tasks, expiry=0.01), Server()
    name = await begun(parking, server)
    async with asyncio.timeout(5):
        await server.cancelled.wait()
    assert parking.take(name, ASKER) is None


async def test_one_principal_cannot_take_every_place(
    tasks: TaskGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parked, "MAX_PARKED_EACH", 1)
    parking, first, second, third = Parking(tasks), Server(), Server(), Server()
    await begun(parking, first)
    with pytest.raises(TooMany):
        await begun(parking, second)
    async with asyncio.timeout(5):
        await second.cancelled.wait()
    await begun(parking, third, Asker("key_2", ASKER.capabilities))


async def test_who_declared_nothing_is_not_asked(tasks: TaskGroup) -> None:
    """The request is left to be declined."""
    call = Server().call(Asker("key_1"))
    assert not await call.attend(jsonrpc.parse(QUESTION), QUESTION)


async def test_the_server_may_fail(tasks: TaskGroup) -> None:
    """Its error is the call's, also after it was parked."""
    parking, server = Parking(tasks), Server()

    async def work(call: Call) -> Reply:
        await call.attend(jsonrpc.parse(QUESTION), QUESTION)
        await server.told.get()
        raise UpstreamFailed("it broke off")

    reply = await parking.begin(server.call(), work, print)
    call = parking.take(json.loads(reply.result or b"")["requestState"], ASKER)
    assert call is not None
    with pytest.raises(UpstreamFailed, match="broke off"):
        await parking.resume(call, {"request-1": raw({})}, {}, print)


async def test_nothing_is_answered_once_the_call_has_failed(tasks: TaskGroup) -> None:
    """The session of the question is gone: in another one, its id may be another question's."""
    parking, server = Parking(tasks), Server()
    broken = asyncio.Event()

    async def work(call: Call) -> Reply:
        await call.attend(jsonrpc.parse(QUESTION), QUESTION)
        await broken.wait()
        raise UpstreamFailed("it broke off")

    reply = await parking.begin(server.call(), work, print)
    call = parking.take(json.loads(reply.result or b"")["requestState"], ASKER)
    assert call is not None
    assert call.done is not None
    broken.set()
    await call.done
    with pytest.raises(UpstreamFailed, match="broke off"):
        await parking.resume(call, {"request-1": raw({})}, {}, print)
    assert server.told.empty()


async def test_a_call_whose_connection_is_closed_says_so(tasks: TaskGroup) -> None:
    """Its client gets an error, not the end of its own request."""
    parking, server = Parking(tasks), Server()
    name = await begun(parking, server)
    await tasks.stop()
    call = parking.take(name, ASKER)
    assert call is not None
    with pytest.raises(UpstreamFailed, match="closed"):
        await parking.resume(call, {}, {}, print)

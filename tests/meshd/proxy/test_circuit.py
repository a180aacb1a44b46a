"""When an upstream that is gone is asked again, and when it is probed: on a clock of the test's."""

import asyncio
from dataclasses import dataclass, field

import pytest

from meshd.proxy.circuit import GLANCE, OPENS_AT, RESTART, Circuit
from meshd.wire.errors import UpstreamFailed

GONE = UpstreamFailed.gone("srv cannot be reached", sent=False)


@dataclass
class World:
    """A server that is there or not, and the time that passes between probes alone."""

    there: bool = False
    now: float = 100.0
    comes_back: float = 1e9
    probes: list[float] = field(default_factory=list)
    returns: int = 0
    stands: bool = False
    """Whether time does not pass at all."""

    def circuit(self) -> Circuit:
        return Circuit(clock=lambda: self.now, pause=self.pause, on_return=self.note)

    def note(self) -> None:
        self.returns += 1

    async def pause(self, seconds: float) -> None:
        if self.stands:
            await asyncio.Event().wait()
        self.now += seconds
        await asyncio.sleep(0)

    async def probe(self) -> None:
        self.probes.append(self.now)
        if not self.there and self.now < self.comes_back:
            raise GONE


@pytest.fixture
def world() -> World:
    return World()


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_one_failure_holds_nobody_back(world: World) -> None:
    world.there = True
    circuit = world.circuit()
    circuit.failed(GONE, world.probe)
    await circuit.admit()
    assert not circuit.open
    await turns(3)
    assert (circuit.failing, world.returns) == (False, 1)
    await circuit.close()


async def test_failures_in_a_row_hold_calls_back_at_once(world: World) -> None:
    """With when it is tried next; a server that never was there gets no time to return."""
    world.stands = True
    circuit = world.circuit()
    for _ in range(OPENS_AT - 1):
        circuit.failed(GONE, world.probe)
    assert not circuit.open
    circuit.failed(GONE, world.probe)
    assert circuit.open
    await turns(1)
    with pytest.raises(UpstreamFailed, match="cannot be reached") as caught:
        await circuit.admit()
    assert not caught.value.sent
    assert caught.value.facts["next try"] == "in 1.0 s"
    assert caught.value.facts["retry_after_s"] == "1"
    assert caught.value.facts["state"].startswith("failing")
    assert circuit.next_probe == 1.0
    await circuit.close()


async def test_an_answer_between_failures_begins_the_row_anew(world: World) -> None:
    circuit = world.circuit()
    for _ in range(OPENS_AT * 3):
        circuit.failed(GONE, world.probe)
        circuit.reached()
    assert not circuit.failing
    await circuit.admit()
    await circuit.close()


async def test_it_is_probed_alone_and_ever_less_often(world: World) -> None:
    """One probe at a time, whoever fails meanwhile, up to a minute apart."""
    circuit = world.circuit()
    for _ in range(100):
        circuit.failed(GONE, world.probe)
    await turns(40)
    gaps = [round(b - a, 3) for a, b in zip(world.probes, world.probes[1:], strict=False)]
    assert gaps[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    await circuit.close()


async def test_a_server_that_was_there_is_looked_for_quickly_and_waited_for(world: World) -> None:
    """As long as a restart takes; calls that were not sent go on as soon as it is back."""
    circuit = world.circuit()
    circuit.reached()
    began = world.now
    world.comes_back = began + 0.5
    for _ in range(OPENS_AT):
        circuit.failed(GONE, world.probe)
    async with asyncio.timeout(60):
        await asyncio.gather(*(circuit.admit() for _ in range(50)))
    assert world.now - began <= 0.5 + 2 * GLANCE
    assert (circuit.open, world.returns) == (False, 1)
    await circuit.close()


async def test_who_waits_for_a_server_waits_on_when_it_goes_once_more(world: World) -> None:
    """It is back, and gone again before those who waited got their turn."""
    world.stands = True
    circuit = world.circuit()
    circuit.reached()
    circuit.failed(GONE, world.probe)
    waiting = asyncio.create_task(circuit.returned())
    await turns(3)
    circuit.reached()
    circuit.failed(GONE, world.probe)
    await turns(3)
    assert not waiting.done()
    circuit.reached()
    async with asyncio.timeout(60):
        await waiting
    await circuit.close()


async def test_a_probe_that_fails_after_a_request_reached_it_is_of_yesterday(world: World) -> None:
    """Else the server were taken for gone, by who waits and by nobody who looks for it."""
    asked, fails = asyncio.Event(), asyncio.Event()

    async def probe() -> None:
        asked.set()
        await fails.wait()
        raise GONE

    circuit = world.circuit()
    circuit.reached()
    circuit.failed(GONE, probe)
    await asked.wait()
    circuit.reached()
    fails.set()
    await turns(3)
    assert not circuit.failing
    await circuit.returned()
    await circuit.close()


async def test_after_that_time_everybody_is_refused(world: World) -> None:
    circuit = world.circuit()
    circuit.reached()
    circuit.failed(GONE, world.probe)
    while world.now < 100.0 + RESTART + 1:
        await turns(1)
    assert circuit.open  # by its probes alone
    with pytest.raises(UpstreamFailed):
        await circuit.admit()
    await circuit.close()


async def test_whoever_looked_before_looks_no_more(world: World) -> None:
    """A server that came back in between and went again is probed by one alone."""
    circuit = world.circuit()
    for _ in range(20):
        circuit.failed(GONE, world.probe)
        await turns(1)
        circuit.reached()
    circuit.failed(GONE, world.probe)
    await turns(4)
    world.probes.clear()
    await turns(1)
    assert len(world.probes) == 1
    await circuit.close()


async def test_a_closed_one_probes_no_more(world: World) -> None:
    circuit = world.circuit()
    circuit.failed(GONE, world.probe)
    await circuit.close()
    count = len(world.probes)
    circuit.reached()
    circuit.failed(GONE, world.probe)
    await turns(10)
    assert len(world.probes) == count

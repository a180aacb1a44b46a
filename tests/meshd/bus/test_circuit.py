"""How much may be under way to one subscriber."""

from meshd.bus.circuit import OPENS_AT, PROBE, Circuit


def fail(circuit: Circuit, now: float) -> None:
    circuit.begin(now, 1)
    circuit.end(reached=False)


def test_a_subscriber_that_always_fails_is_only_probed_until_it_answers():
    circuit = Circuit(8)
    for n in range(OPENS_AT):
        assert circuit.room(float(n)) == 8
        fail(circuit, float(n))
    last = float(OPENS_AT - 1)
    assert circuit.open
    assert circuit.room(last + PROBE - 1) == 0
    assert circuit.room(last + PROBE) == 1
    circuit.begin(last + PROBE, 1)
    assert circuit.room(last + 9 * PROBE) == 0
    circuit.end(reached=True)
    assert circuit.room(last + PROBE) == 8


def test_room_is_what_the_limit_leaves():
    circuit = Circuit(8)
    circuit.begin(0.0, 5)
    assert circuit.room(0.0) == 3
    for _ in range(5):
        circuit.end(reached=True)
    assert circuit.room(0.0) == 8

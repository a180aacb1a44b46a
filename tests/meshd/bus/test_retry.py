"""The schedule of tries, and what becomes of a delivery after each kind of end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.bus.retry import ATTEMPTS, DEFERRED_FOR, Next, Outcome, Tried, pause_after, settle
from meshd.core.clock import MICROSECONDS

NOW = 1_000_000_000_000
HOUR = 3600 * MICROSECONDS


def middle() -> float:
    return 0.5


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [(1, 1), (2, 2), (3, 4), (10, 512), (12, 2048), (13, 3600), (19, 3600), (500, 3600)],
)
def test_pauses_double_up_to_an_hour(attempt, seconds):
    assert pause_after(attempt, 0.5) == seconds
    assert pause_after(attempt, 0.0) == pytest.approx(0.8 * seconds)
    assert pause_after(attempt, 1.0) == pytest.approx(1.2 * seconds)


@pytest.mark.parametrize(
    ("outcome", "tried", "then"),
    [
        (Outcome("delivered"), Tried(3), Next("done", None, 3)),
        (Outcome("failed"), Tried(1), Next("ready", NOW + MICROSECONDS, 1)),
        (Outcome("failed"), Tried(ATTEMPTS - 1), Next("ready", NOW + HOUR, ATTEMPTS - 1)),
        (Outcome("failed"), Tried(ATTEMPTS), Next("dead", None, ATTEMPTS)),
        (Outcome("hopeless"), Tried(1), Next("dead", None, 1)),
        (Outcome("gone"), Tried(1), Next("dead", None, 1, pauses=True)),
        (Outcome("refused"), Tried(2), Next("ready", NOW, 1, pauses=True)),
        (Outcome("deferred", after=90), Tried(2), Next("ready", NOW + 90 * MICROSECONDS, 1, NOW)),
        (
            Outcome("deferred", after=3600),
            Tried(2, NOW - DEFERRED_FOR + HOUR),
            Next("ready", NOW + HOUR, 1, NOW - DEFERRED_FOR + HOUR),
        ),
        (
            Outcome("deferred", after=3601),
            Tried(2, NOW - DEFERRED_FOR + HOUR),
            Next("ready", NOW + 2 * MICROSECONDS, 2, NOW - DEFERRED_FOR + HOUR),
        ),
        (Outcome("deferred", after=1), Tried(ATTEMPTS, NOW - DEFERRED_FOR), Next("dead", None, 20)),
    ],
    ids=str,
)
def test_what_becomes_of_it(outcome, tried, then):
    assert settle(outcome, tried, NOW, middle) == then


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0.001, 86400)), min_size=200, max_size=400),
    st.floats(0, 1),
)
def test_whatever_a_target_answers_it_ends(answers, jitter):
    """At most 20 failures and a day of putting off, however these alternate."""
    now, attempt, since = NOW, 0, None
    for deferred, after in answers:
        attempt += 1
        outcome = Outcome("deferred", after=after) if deferred else Outcome("failed")
        then = settle(outcome, Tried(attempt, since), now, lambda: jitter)
        assert then.attempt <= ATTEMPTS
        if then.state == "dead":
            return
        assert then.available_at is not None
        assert then.available_at >= now
        now, attempt, since = then.available_at, then.attempt, then.deferred_since
        if now - NOW > 3 * DEFERRED_FOR:
            raise AssertionError("it is tried for ever")

"""The core of the bus under every kind of bad luck: a thousand short lives of one or two daemons.

Nothing acknowledged is lost, everything is delivered at least once, attempts count at their claim,
a lost lease changes nothing, what is ordered stays so, and what is given up is told of once. `SEEDS` holds seeds that failed once.
"""

import dataclasses
from collections.abc import Iterator

import pytest

from tests.support import simulation
from tests.support.simulation import simulate

SEEDS: tuple[int, ...] = (389,)
RUNS, PART = 1000, 125


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What fails on purpose is logged, and would slow down the run."""
    with caplog.at_level("CRITICAL"):
        yield


@pytest.mark.parametrize("first", range(0, RUNS, PART))
def test_whatever_happens(first: int) -> None:
    broken = {seed: found for seed in range(first, first + PART) if (found := simulate(seed))}
    assert not broken, f"put these into SEEDS: {broken}"


@pytest.mark.parametrize("seed", SEEDS)
def test_what_failed_once(seed: int) -> None:
    assert simulate(seed) == []


@pytest.mark.parametrize(
    ("queries", "part", "instead"),
    [
        ("delivery.line_up delivery.claim", "AND earlier.available_at IS NOT NULL", "AND 0"),
        ("delivery.claim", "attempt = attempt + 1", "attempt = attempt"),
        ("delivery.claim", "fence = fence + 1", "fence = fence"),
        ("delivery.claim", "AND available_at <= :now", "AND available_at IS NOT NULL"),
        ("delivery.line_up", "AND earlier.available_at IS NOT NULL", ""),
    ],
    ids=["order", "attempts", "fence", "lease", "line"],
)
def test_each_of_its_mechanisms_is_needed(
    queries: str, part: str, instead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it some seed goes wrong."""
    for query in queries.split():
        known = simulation.QUERIES._queries[query]
        assert part in known.sql
        without = dataclasses.replace(known, sql=known.sql.replace(part, instead))
        monkeypatch.setitem(simulation.QUERIES._queries, query, without)
    assert any(simulate(seed) for seed in range(300))


def test_who_stands_in_line_is_let_go_by_the_database() -> None:
    """Without its trigger some delivery is never tried."""
    link = simulation._database()
    (trigger,) = link.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    link.execute("DROP TRIGGER deliveries_next")
    try:
        assert any("still ready" in text for seed in range(300) for text in simulate(seed))
    finally:
        link.execute(trigger["sql"])

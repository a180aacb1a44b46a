"""The short form of each run about upstreams that are restarted."""

import pytest

from tests.harness import upstream_restarts

SEED = 20_261_123
LONG = {"virtual stateless"}
"""What the short form leaves to the command: it differs from the others in nothing of its own."""


@pytest.mark.parametrize("way", [way for way in upstream_restarts.WAYS if way not in LONG])
def test_restarts_of(way):
    """The clients of it, and those beside it, go on as they were."""
    assert upstream_restarts.run(SEED, full=False, ways=[way]).failures == []

"""The short form of each run about upstreams that are restarted, and shared by many clients."""

import pytest

from tests.harness import many_clients, upstream_restarts
from tests.support.careless import CARELESS

SEED = 20_261_123


@pytest.mark.parametrize(
    "harness", [upstream_restarts, many_clients], ids=lambda m: m.__name__.split(".")[-1]
)
def test_its_short_form_passes(harness):
    assert harness.run(SEED, full=False).failures == []


def test_a_gateway_that_does_not_tell_requests_apart_is_found_out():
    """What it shows depends on who is first; that it shows is certain."""
    found = many_clients.run(SEED, full=False, prefix=CARELESS, patience=1, names=("stdio",))
    assert found.failures

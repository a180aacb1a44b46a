"""The short form of the runs about many clients, many readers and many daemons."""

import sys

import pytest

from tests.harness import many_clients, scaling, slow_readers
from tests.support.careless import CARELESS

SEED = 20_261_123
LONG = {"in-stateless", "in-http-sse"}
"""What the short form leaves to the command: a virtual MCP asks these as it asks the others."""


@pytest.mark.parametrize("name", [name for name in many_clients.NAMES if name not in LONG])
def test_many_clients_at(name):
    """No answer ever reaches another client."""
    assert many_clients.run(SEED, full=False, names=(name,)).failures == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_who_does_not_read_is_cut_and_nobody_else_waits():
    assert slow_readers.run(SEED, full=False).failures == []


def test_daemons_share_what_is_delivered():
    assert scaling.run(SEED, full=False).failures == []


def test_a_gateway_that_does_not_tell_requests_apart_is_found_out():
    """What it shows depends on who is first; that it shows is certain."""
    found = many_clients.run(SEED, full=False, prefix=CARELESS, patience=1, names=("stdio",))
    assert found.failures

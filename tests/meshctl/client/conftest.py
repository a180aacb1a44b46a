"""Fixtures of the client tests."""

import pytest

from tests.meshctl.client.peer import Peer


@pytest.fixture
def peer(home):
    """Makes the daemon of bytes in the test's home; at most one at a time."""
    made = []

    def make(answer):
        made.append(Peer(home, answer))
        return made[-1]

    yield make
    for one in made:
        one.close()

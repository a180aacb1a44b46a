"""The short form of each run about bad servers, bad bodies, floods and other users."""

import os
import sys

import pytest

from tests.harness import bad_child, floods, mutants, other_user

SEED = 20_261_123

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.mark.parametrize(
    "harness", [bad_child, mutants, floods], ids=lambda m: m.__name__.split(".")[-1]
)
def test_its_short_form_passes(harness):
    assert harness.run(SEED, full=False).failures == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_is_refused():
    assert other_user.run(SEED, full=False).failures == []

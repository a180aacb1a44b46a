"""Which revision a session speaks."""

import pytest

from meshd.protocol.versions import DEFAULT, HANDSHAKE, LATEST_HANDSHAKE, negotiate


@pytest.mark.parametrize("asked", HANDSHAKE)
def test_a_known_revision_is_kept(asked: str) -> None:
    assert negotiate(asked) == asked


@pytest.mark.parametrize("asked", [None, "", "2026-07-28", "1.0", "2024-11-05 ", "latest"])
def test_any_other_gets_our_newest_of_the_era(asked: str | None) -> None:
    assert negotiate(asked) == LATEST_HANDSHAKE == max(HANDSHAKE)


def test_the_default_is_one_of_them() -> None:
    assert DEFAULT in HANDSHAKE

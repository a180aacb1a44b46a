"""Request states come back only from whom, where and for what they were given."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.vault.seal_state import LIFETIME, Place, StateSealer

PLACE = Place("key_1", "conn_1", b"digest")
NOW = 1_800_000_000.0


def sealer(now: float = NOW, key: bytes = b"k" * 32) -> StateSealer:
    return StateSealer(key, lambda: now)


@given(st.binary(max_size=500))
def test_what_is_sealed_opens(state: bytes) -> None:
    token = sealer().seal(PLACE, state)
    assert token.isascii()
    assert sealer().open(PLACE, token) == state


@pytest.mark.parametrize("member", ["principal", "connection", "request"])
def test_it_opens_nowhere_else(member: str) -> None:
    """Another principal, another connection, another request."""
    changed: dict[str, object] = {member: b"x" if member == "request" else "x"}
    other = dataclasses.replace(PLACE, **changed)  # type: ignore[arg-type]
    assert sealer().open(other, sealer().seal(PLACE, b"s")) is None


def test_it_opens_for_a_while() -> None:
    token = sealer().seal(PLACE, b"s")
    assert sealer(NOW + LIFETIME - 1).open(PLACE, token) == b"s"
    assert sealer(NOW + LIFETIME + 1).open(PLACE, token) is None


@given(st.text(max_size=80))
def test_noise_opens_nothing(token: str) -> None:
    assert sealer().open(PLACE, token) is None


def test_an_altered_one_does_not_open() -> None:
    token = sealer().seal(PLACE, b"s")
    for at in range(len(token)):
        other = "A" if token[at] != "A" else "B"
        assert sealer().open(PLACE, token[:at] + other + token[at + 1 :]) != b"t"
    assert sealer(key=b"x" * 32).open(PLACE, token) is None

"""Whose streams are counted against whom."""

from contextlib import ExitStack
from dataclasses import replace

import pytest

from meshd.api.followed import MAX_OWN, MAX_STREAMS, Followed
from meshd.wire.errors import TooMany, Unavailable
from tests.support.principals import key_principal, local_principal


def key(number: int):
    return replace(key_principal(), id=f"key_{number}", name=f"key {number}")


def test_no_key_keeps_another_or_the_owner_from_following() -> None:
    """Until all keys together follow as many as they may; the owner may even then."""
    followed = Followed()
    with ExitStack() as open_ones:
        for number in range(MAX_STREAMS // MAX_OWN):
            for _ in range(MAX_OWN):
                open_ones.enter_context(followed.one(key(number)))
            with pytest.raises(TooMany), followed.one(key(number)):
                pass
        with pytest.raises(Unavailable), followed.one(key(99)):
            pass
        for _ in range(MAX_OWN):
            open_ones.enter_context(followed.one(local_principal()))
        with pytest.raises(TooMany), followed.one(local_principal()):
            pass
        assert len(followed) == MAX_STREAMS + MAX_OWN
    assert len(followed) == 0
    with followed.one(key(99)):
        assert len(followed) == 1

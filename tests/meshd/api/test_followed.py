"""Whose streams are counted against whom."""

import resource
from contextlib import ExitStack
from dataclasses import replace

import pytest

from meshd.api.followed import MAX_OWN, Followed
from meshd.core.http_limits import LIMITS, connections
from meshd.wire.errors import TooMany, Unavailable
from tests.support.principals import key_principal, local_principal


def key(number: int):
    return replace(key_principal(), id=f"key_{number}", name=f"key {number}")


@pytest.mark.parametrize(("files", "most"), [(20_000, 1000), (4000, 1000), (1024, 256)])
def test_no_key_keeps_another_or_the_owner_from_following(
    monkeypatch: pytest.MonkeyPatch, files: int, most: int
) -> None:
    """Until all keys together follow as many as they may; the owner may even then.

    Where few files may be open, half of the connections still are for calls.
    """
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (files, files))
    assert most <= connections(LIMITS) // 2
    followed = Followed()
    with ExitStack() as open_ones:
        for number in range(most):
            open_ones.enter_context(followed.one(key(number // MAX_OWN)))
            if number % MAX_OWN == MAX_OWN - 1:
                with pytest.raises(TooMany), followed.one(key(number // MAX_OWN)):
                    pass
        with pytest.raises(Unavailable, match=f"^{most} streams"), followed.one(key(99)):
            pass
        for _ in range(MAX_OWN):
            open_ones.enter_context(followed.one(local_principal()))
        with pytest.raises(TooMany), followed.one(local_principal()):
            pass
        assert len(followed) == most + MAX_OWN
    assert len(followed) == 0
    with followed.one(key(99)):
        assert len(followed) == 1

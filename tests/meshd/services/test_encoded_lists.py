"""How much of encoded lists is kept, and which of them give way."""

import pytest

from meshd.services import encoded_lists as module
from meshd.services.encoded_lists import Encoded, EncodedLists


def test_those_used_longest_ago_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their bytes together; one that takes another's place gives its bytes back first."""
    monkeypatch.setattr(module, "MAX_KEPT", 10)
    lists = EncodedLists()
    for key in ("a", "b"):
        lists.keep(key, None, b"four")
    lists.keep("b", 1, b"five!")
    assert lists.get("a") == Encoded(None, b"four")
    lists.keep("c", None, b"four")
    assert lists.get("b") is None
    assert [lists.get(key) for key in ("a", "c")] == [Encoded(None, b"four")] * 2
    lists.keep("d", None, b"more than all of it")
    assert [lists.get(key) for key in "acd"] == [None] * 3
    lists.keep("e", None, b"0123456789")
    assert lists.get("e") is not None

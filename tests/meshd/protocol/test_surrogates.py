"""Half an emoji must not cost a whole answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.protocol.surrogates import mend_surrogates


@pytest.mark.parametrize(
    ("raw", "mended"),
    [
        (rb'"\ud83d"', rb'"\ufffd"'),
        (rb'"\ud83d\ude00"', rb'"\ud83d\ude00"'),
        (rb'"\ude00\ud83d"', rb'"\ufffd\ufffd"'),
        (rb'"\ud83d\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
        (rb'"\\ud83d"', rb'"\\ud83d"'),
        (rb'"\\\uD83Dx"', rb'"\\\ufffdx"'),
        (rb'{"a":[1.0,"\u00e9"]}', rb'{"a":[1.0,"\u00e9"]}'),
    ],
)
def test_halves_alone_are_replaced(raw: bytes, mended: bytes) -> None:
    """Pairs, other escapes and escaped backslashes stay."""
    assert mend_surrogates(raw) == mended


@given(st.text(st.characters(codec=None, categories=None), max_size=8))
def test_what_is_mended_can_be_written(text: str) -> None:
    """Any text at all, surrogates included, becomes text that has a UTF-8 form."""
    mended = json.loads(mend_surrogates(json.dumps(text).encode()))
    mended.encode()
    assert len(mended) == len(json.loads(json.dumps(text)))

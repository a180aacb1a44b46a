"""The sum over a table: what it must notice, and what it must not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.store.db import StoreError
from meshd.store.tally import Tally, canonical

VALUES = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.text(st.characters(exclude_characters="\0", codec="utf-8")), st.binary(),
    st.floats(allow_nan=False),
)  # fmt: skip
ROWS = st.lists(st.tuples(VALUES, VALUES), max_size=6)


def tallied(rows):
    made = Tally()
    made.add(rows)
    return made


@given(ROWS, st.randoms())
def test_the_order_of_rows_does_not_matter(rows, random):
    mixed = list(rows)
    random.shuffle(mixed)
    assert tallied(rows).same(tallied(mixed))


@given(st.tuples(VALUES, VALUES), st.tuples(VALUES, VALUES))
def test_different_rows_have_different_forms(one, other):
    same = all(type(a) is type(b) and repr(a) == repr(b) for a, b in zip(one, other, strict=True))
    assert (canonical(one) == canonical(other)) == same


@pytest.mark.parametrize(
    "other",
    [
        [("a", 1)], [("a", 1), ("a", 1), ("b", 2)], [("a", 1), ("b", 3)], [("a", 1), ("b", "2")],
        [("a", 1), ("b", 2.0)], [("a", 1), (b"b", 2)], [("a", 1), ("b", None)], [("a", 2), ("b", 1)],
    ],
)  # fmt: skip
def test_what_was_lost_doubled_or_changed_is_noticed(other):
    assert not tallied([("a", 1), ("b", 2)]).same(tallied(other))


def test_what_postgres_cannot_hold_is_counted_and_summed_as_it_stands_there():
    """Only in text; bytes may have it."""
    given = tallied([("a\0b", b"\0"), ("a", b"\0")])
    assert given.with_nul == 1
    assert given.same(tallied([("a\ufffdb", b"\0"), ("a", b"\0")]))


def test_a_value_without_a_form_is_refused():
    with pytest.raises(StoreError, match="complex"):
        canonical((1j,))

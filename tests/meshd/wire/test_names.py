"""Names of connections and keys, and ids, which never collide with names."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.wire.errors import BadRequest
from meshd.wire.ids import new_id, new_timed_id
from meshd.wire.names import RESERVED, check_name


@pytest.mark.parametrize("name", ["a", "0", "github", "a-b-c", "9-", "a" * 40, "x--y"])
def test_legal_names_stay_as_they_are(name: str) -> None:
    assert check_name(name, "key") == name


@pytest.mark.parametrize(("given", "kept"), [("GitHub", "github"), ("A-1", "a-1")])
def test_names_are_case_folded(given: str, kept: str) -> None:
    assert check_name(given, "key") == kept


@pytest.mark.parametrize(
    "name",
    ["", "-a", "a_b", "a.b", "a/b", "a b", " a", "a\n", "a\0", "a" * 41, "*", "naïve", "..", "%2e"],
)
def test_other_names_are_refused(name: str) -> None:
    """With the rule, and nothing in the sentence that a terminal would act on."""
    with pytest.raises(BadRequest) as refused:
        check_name(name, "connection")
    assert refused.value.message.isprintable()
    assert "names are" in refused.value.facts


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_words_of_paths_and_grants_are_reserved_in_any_case(name: str) -> None:
    for spelling in (name, name.upper()):
        with pytest.raises(BadRequest, match="reserved"):
            check_name(spelling, "connection")


@given(st.text(max_size=60))
def test_what_passes_is_a_name(text: str) -> None:
    """Whatever comes in, only the declared shape comes out."""
    try:
        name = check_name(text, "key")
    except BadRequest:
        return
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name)
    assert name not in RESERVED


def test_an_id_names_its_kind_and_is_no_name() -> None:
    made = {new_id("conn") for _ in range(100)}
    assert len(made) == 100
    for one in made:
        assert re.fullmatch(r"conn_[a-z2-7]{16}", one)
        with pytest.raises(BadRequest):
            check_name(one, "connection")


@given(st.lists(st.integers(0, 2**52 - 1), min_size=2, max_size=8))
def test_timed_ids_sort_by_their_moments(moments: list[int]) -> None:
    """Two moments of the same 1,024 microseconds stand in either order."""
    by_id = sorted((new_timed_id("evt", moment), moment >> 10) for moment in moments)
    assert all(re.fullmatch(r"evt_[a-z2-7]{20}", one) for one, _ in by_id)
    assert [at for _, at in by_id] == sorted(moment >> 10 for moment in moments)


def test_timed_ids_of_one_moment_differ() -> None:
    assert len({new_timed_id("dlv", 1_764_000_000_000_000) for _ in range(1000)}) == 1000

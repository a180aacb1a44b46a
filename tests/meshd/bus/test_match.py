"""Type patterns and filters: the dialects as tables, and laws that hold for any of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.bus.match import MAX_DEPTH, MAX_NODES, BadFilter, matches_type, read_filters

EVENT = {"type": "order.made", "source": "/keys/key_a", "subject": "eu-17", "tier": "gold"}


@pytest.mark.parametrize(
    ("patterns", "kind", "hears"),
    [
        (["order.*"], "order.made", True),
        (["order.*"], "order.", True),
        (["order.*"], "orders.made", False),
        (["order.made"], "order.made.twice", False),
        (["*"], "mesh.key.added", True),
        (["a", "*.made"], "order.made", True),
        ([], "order.made", False),
        (["Order.*"], "order.made", False),
    ],
)
def test_types(patterns, kind, hears):
    assert matches_type(patterns, kind) is hears


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        ([], True),
        ([{"exact": {"subject": "eu-17"}}], True),
        ([{"exact": {"subject": "eu"}}], False),
        ([{"prefix": {"subject": "eu-"}}], True),
        ([{"suffix": {"subject": "-17"}}], True),
        ([{"suffix": {"subject": "eu-"}}], False),
        ([{"exact": {"subject": "eu-17", "tier": "gold"}}], True),
        ([{"exact": {"subject": "eu-17", "tier": "tin"}}], False),
        ([{"exact": {"absent": "x"}}], False),
        ([{"not": {"exact": {"absent": "x"}}}], True),
        ([{"prefix": {"subject": "eu-"}}, {"exact": {"tier": "tin"}}], False),
        ([{"any": [{"exact": {"tier": "tin"}}, {"prefix": {"subject": "eu"}}]}], True),
        ([{"all": [{"exact": {"tier": "gold"}}, {"not": {"prefix": {"subject": "us"}}}]}], True),
        ([{"not": {"any": [{"exact": {"tier": "gold"}}]}}], False),
    ],
    ids=str,
)
def test_filters(filters, passes):
    assert read_filters(filters)(EVENT) is passes


def deep(levels):
    return {"exact": {"a": "b"}} if levels == 0 else {"not": deep(levels - 1)}


@pytest.mark.parametrize(
    "filters",
    [
        {}, "x", [1], [{}], [{"exact": {"a": "b"}, "not": {}}], [{"sql": "1 = 1"}], [{"exact": {}}],
        [{"exact": {"a": 1}}], [{"exact": {"a": ""}}], [{"exact": "a"}], [{"all": []}],
        [{"any": {"exact": {"a": "b"}}}], [{"not": []}], [deep(MAX_DEPTH)],
        [{"exact": {"a": "b"}}] * (MAX_NODES + 1), [{"exact": {"a": "b" * 300}}],
    ],
    ids=lambda f: str(f)[:40],
)  # fmt: skip
def test_what_is_no_filter(filters):
    with pytest.raises(BadFilter):
        read_filters(filters)


words = st.text("ab", min_size=1, max_size=3)
leaves = st.builds(
    lambda dialect, name, value: {dialect: {name: value}},
    st.sampled_from(["exact", "prefix", "suffix"]), st.sampled_from(["x", "y"]), words,
)  # fmt: skip
filters = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda one: {"not": one}, inner),
        st.builds(
            lambda word, many: {word: many},
            st.sampled_from(["all", "any"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
    ),
    max_leaves=6,
).filter(lambda f: str(f).count("{'") < 2 * MAX_DEPTH)


@given(filters, st.dictionaries(st.sampled_from(["x", "y"]), words))
def test_a_filter_or_its_negation_passes_and_never_both(one, event):
    assert read_filters([one])(event) is not read_filters([{"not": one}])(event)


@given(filters, filters, st.dictionaries(st.sampled_from(["x", "y"]), words))
def test_a_list_of_filters_is_all_of_them(one, other, event):
    both = read_filters([{"all": [one, other]}])(event)
    assert read_filters([one, other])(event) is both
    assert read_filters([{"not": {"any": [{"not": one}, {"not": other}]}}])(event) is both

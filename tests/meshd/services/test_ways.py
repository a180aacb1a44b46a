"""Through virtual MCPs: which grant suffices, and how far their makers' scopes bound it."""

import pytest

from meshd.services.access import Decision, Way, decide, permission_set
from meshd.services.principal import Principal
from tests.support.principals import key_principal

A, V, W = "conn_a", "vir_v", "vir_w"
ANYTHING = key_principal({"*": ["*"]}, name="maker")


def through(who: Principal, *ways: Way, reads_only: bool = False) -> Decision:
    """About the tool `add` of the connection, reached through these, the outermost first."""
    return decide(who, A, "tool", "add", reads_only=lambda: reads_only, ways=ways)


def at(target: str, *makers: Principal, paused: str | None = None) -> Way:
    """A virtual MCP that calls it `a_add`."""
    return Way(target, "a_add", makers or (ANYTHING,), paused)


@pytest.mark.parametrize(
    ("held", "allowed"),
    [
        ({}, False),
        ({"*": ["*"]}, True),
        ({A: ["*"]}, True),
        ({A: ["add"]}, True),
        ({A: ["a_add"]}, False),
        ({V: ["*"]}, True),
        ({V: ["a_*"]}, True),
        ({V: ["add"]}, False),
        ({V: ["b_add"], A: ["sub"]}, False),
        ({"conn_b": ["*"], W: ["*"]}, False),
    ],
)
def test_a_grant_on_the_virtual_mcp_or_on_the_child_suffices(
    held: dict[str, list[str]], allowed: bool
) -> None:
    """Each by the name that the tool has there."""
    assert bool(through(key_principal(held), at(V))) is allowed


@pytest.mark.parametrize(
    ("makers", "allowed"),
    [
        ([{A: ["*"]}], True),
        ([{A: ["add"]}], True),
        ([{A: ["sub"]}], False),
        ([{}], False),
        ([{V: ["*"]}], False),
        ([{"*": ["*"]}, {A: ["sub"]}], False),
        ([{A: ["sub"]}, {"*": ["*"]}], False),
    ],
)
def test_it_conveys_no_more_than_each_of_its_makers_scopes(
    makers: list[dict[str, list[str]]], allowed: bool
) -> None:
    """A grant on itself gives its maker nothing: else whoever makes one could call everything."""
    way = at(V, *(key_principal(held, name="maker") for held in makers))
    found = through(key_principal({V: ["*"]}), way)
    assert bool(found) is allowed
    if not allowed:
        assert (found.below, found.grant) == (True, "add")
        assert "maker" in found.rule
    assert through(key_principal({A: ["add"]}), way), "a grant on the child needs no maker"


def test_a_paused_one_conveys_nothing_and_says_why() -> None:
    found = through(key_principal({V: ["*"]}), at(V, paused="its maker is gone"))
    assert not found
    assert "its maker is gone" in found.rule
    assert through(key_principal({A: ["add"]}), at(V, paused="its maker is gone"))


@pytest.mark.parametrize("reads_only", [True, False])
def test_who_only_reads_calls_what_only_reads(reads_only: bool) -> None:
    """The caller, and whoever made what conveys it."""
    reader = key_principal({V: ["*"]}, read_only=True)
    assert bool(through(reader, at(V), reads_only=reads_only)) is reads_only
    maker = key_principal({A: ["*"]}, read_only=True)
    found = through(key_principal({V: ["*"]}), at(V, maker), reads_only=reads_only)
    assert bool(found) is reads_only


@pytest.mark.parametrize(
    ("outer_maker", "inner_maker", "held", "allowed"),
    [
        ({"*": ["*"]}, {"*": ["*"]}, {V: ["*"]}, True),
        ({W: ["*"]}, {A: ["*"]}, {V: ["*"]}, True),
        ({A: ["*"]}, {}, {V: ["*"]}, True),
        ({W: ["*"]}, {}, {V: ["*"]}, False),
        ({}, {A: ["*"]}, {V: ["*"]}, False),
        ({}, {A: ["*"]}, {W: ["*"]}, True),
        ({}, {}, {W: ["*"]}, False),
        ({}, {}, {A: ["*"]}, True),
    ],
)
def test_one_within_another(
    outer_maker: dict[str, list[str]],
    inner_maker: dict[str, list[str]],
    held: dict[str, list[str]],
    allowed: bool,
) -> None:
    """The outer one conveys what its maker may call through the inner one, no more."""
    ways = (at(V, key_principal(outer_maker)), at(W, key_principal(inner_maker)))
    assert bool(through(key_principal(held), *ways)) is allowed


def test_permission_sets_are_equal_where_every_decision_is() -> None:
    one = key_principal({A: ["x"], V: ["y"]})
    assert permission_set(one) == permission_set(key_principal({V: ["y"], A: ["x"]}, id="key_b"))
    for other in (
        key_principal({A: ["x"]}),
        key_principal({A: ["x"], V: ["y"]}, read_only=True),
        key_principal({A: ["x"], V: ["y"]}, role="user"),
    ):
        assert permission_set(one) != permission_set(other)

"""Which URIs can come of a template."""

import pytest

from meshd.protocol.uri_template import MAX_STEPS, Budget, climbs, read_template


def matches(template: str, uri: str) -> bool:
    """By a lookup of its own."""
    read = read_template(template)
    return read is not None and read.matches(uri, Budget())


@pytest.mark.parametrize(
    ("template", "uri", "does"),
    [
        ("file:///a", "file:///a", True),
        ("file:///a", "file:///ab", False),
        ("file:///{name}", "file:///a", True),
        ("file:///{name}", "file:///", True),
        ("file:///{name}", "file:///a/b", False),
        ("file:///{name}", "file:///a?x=1", False),
        ("file:///{+path}", "file:///a/b?c#d", True),
        ("file:///{name}/x", "file:///a/x", True),
        ("file:///{name}/x", "file:///a/y", False),
        ("a://{one}-{two}", "a://1-2-3", True),
        ("a://{one}{two}!", "a://12!", True),
        ("a://b{/dir*}/c", "a://b/1/2/c", True),
        ("a://b{?q,r}", "a://b?q=1&r=2", True),
        ("a://b{?q,r}", "a://b", True),
        ("a://b{?q,r}", "a://b?q#r", False),
        ("a://b{", "a://b{", True),
        ("other://{x}", "file:///a", False),
        ("file:///{+path}.md", "file:///.md", True),
        ("file:///a{x}a", "file:///a", False),
        ("{+all}", "file:///a", True),
        ("a{x}{+y}{?z}b", "a/?#b", True),
        ("a{x}{?z}b", "a#b", False),
        ("{+a}" * 500 + "!", "a" * 100 + "!", False),
        ("{+a}" * 200 + "!", "a" * 100 + "!", True),
        ("{a}-" * 16, "-" * 16, True),
        ("{a}-" * 17, "-" * 17, False),
        ("a" * 1025, "a" * 1025, False),
        ("a{x}", "a" * 2049, False),
    ],
)
def test_matches(template: str, uri: str, does: bool) -> None:
    assert matches(template, uri) is does


def test_a_lookup_costs_what_its_budget_is() -> None:
    """However many templates it looks through; then nothing matches any more."""
    hostile, mine = read_template("a{b}" * 16 + "!"), read_template("file:///{name}")
    assert hostile is not None
    assert mine is not None
    budget = Budget()
    tried = 0
    while budget.steps > 0:
        assert not hostile.matches("a" * 1000 + "/" + "a" * 1000 + "!", budget)
        tried += 1
    assert tried < MAX_STEPS / 1000
    assert not mine.matches("file:///a", budget)
    assert mine.matches("file:///a", Budget())


def test_one_that_begins_with_an_expression_is_open() -> None:
    """And what it says literally is what it is judged by."""
    read = [read_template(one) for one in ("{+all}", "{a}://b", "a://{b}", "a://b")]
    assert [one.is_open for one in read if one] == [True, True, False, False]
    assert [one.literal for one in read if one] == [0, 4, 4, 5]


@pytest.mark.parametrize(
    ("uri", "does"),
    [
        ("file:///a/../b", True),
        ("file:///a/..", True),
        ("file:///a/x/%2e%2E%2Fb", True),
        ("file:///a/.%2e?x", True),
        ("file:///a%2f..%5Cb", True),
        ("a\\..\\b", True),
        ("..", True),
        ("file:///a/..b", False),
        ("file:///a/b..", False),
        ("file:///a/.../b", False),
        ("file:///a/./b", False),
        ("file:///a..b/c", False),
    ],
)
def test_what_climbs(uri: str, does: bool) -> None:
    """A segment of two dots, however it is spelt, and no other."""
    assert climbs(uri) is does

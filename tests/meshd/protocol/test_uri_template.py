"""Which URIs can come of a template."""

import pytest

from meshd.protocol.uri_template import matches


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
        ("a" * 9000, "a" * 9000, False),
    ],
)
def test_matches(template: str, uri: str, does: bool) -> None:
    assert matches(template, uri) is does


def test_a_hostile_template_costs_little() -> None:
    """One that a backtracking matcher would try for longer than anybody waits."""
    assert not matches("{a}a" * 200 + "!", "a" * 4000)

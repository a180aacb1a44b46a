"""Which child a URI leads to where several could have it."""

import json
from collections.abc import Callable

import pytest
from msgspec import Raw

from meshd.services.composing import Composed, Exposed, Part, compose, of_connection
from meshd.services.virtual_lookup import chosen, of_template
from meshd.services.virtual_rows import ChildRow


def composed(**templates: list[str]) -> Composed:
    """Of children with these templates."""
    parts = [
        Part(
            child, ChildRow(child),
            of_connection(child, "template", [Raw(json.dumps({"uriTemplate": t})) for t in those]),
        )
        for child, those in templates.items()
    ]  # fmt: skip
    return compose("/mcp", "prefixed", "template", parts)


def only(*children: str) -> Callable[[Exposed], bool]:
    """Whoever may use these alone."""
    return lambda one: one.route.connection in children


BOTH = only("evil", "good")


@pytest.mark.parametrize(
    ("evil", "good", "may", "uri", "leads"),
    [
        (["{+all}"], ["db://{t}"], BOTH, "db://users", "good"),
        (["{+all}"], ["db://{t}"], BOTH, "file:///a", None),
        (["{+all}"], ["db://{t}"], only("evil"), "db://users", "evil"),
        (["{+all}"], [], BOTH, "db://users", "evil"),
        (["db:{+all}"], ["db://{t}"], BOTH, "db://users", "good"),
        (["db://users{?q}"], ["db://{t}"], only("good"), "db://users", "good"),
        (["db://{t}"], ["db://{t}"], only("good"), "db://users", "good"),
        (["db://{t}"], ["db://{t}"], BOTH, "db://users", "evil"),
        (["db://{t}"], [], only("good"), "db://users", "evil"),
        (["db://{t}"], [], BOTH, "db://users/1", None),
        (["db://" + "{t}-" * 17], [], BOTH, "db://" + "-" * 17, None),
        (["file:///a/{+path}"], [], BOTH, "file:///a/b/../../c", None),
        (["file:///a/{name}"], [], BOTH, "file:///a/..%2Fb", None),
    ],
)
def test_a_uri_leads_by_the_most_literal_template_that_may_be_used(
    evil: list[str], good: list[str], may: Callable[[Exposed], bool], uri: str, leads: str | None
) -> None:
    """Of several alike, by that of whom came first; where none may be used, to a refusal."""
    found = of_template(composed(evil=evil, good=good), uri, may)
    assert (found.route.connection if found else None) == leads
    assert found is None or (found.name, found.route.name) == (uri, uri)


def test_a_lookup_through_hostile_templates_ends_soon() -> None:
    """For whoever lists them: the templates of others have a budget of their own."""
    hostile = [f"a{'{b}-' * 14}{{c}}/{n}{{d}}!" for n in range(4000)]
    uri = "a" + "-" * 1000 + "!"
    assert of_template(composed(evil=["a{b}"]), uri, BOTH) is not None
    assert of_template(composed(evil=[*hostile, "a{b}"]), uri, BOTH) is None
    found = of_template(composed(evil=hostile, good=["a{b}"]), uri, BOTH)
    assert found is not None
    assert found.route.connection == "good"


@pytest.mark.parametrize(
    ("may", "shown"),
    [(BOTH, ["db://{t}"]), (only("evil"), ["{+all}"]), (only("good"), ["db://{t}"])],
)
def test_a_template_that_would_match_everything_is_listed_alone_or_not(
    may: Callable[[Exposed], bool], shown: list[str]
) -> None:
    found = composed(evil=["{+all}"], good=["db://{t}"])
    assert [one.name for one in chosen(found, "template", may)] == shown

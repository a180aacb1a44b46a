"""The grammar of grants: read, shown, added, taken away."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.services.grants import (
    MAX_LENGTH,
    check_new,
    parse_grant,
    show_grants,
    split_grant,
    to_json,
    with_grant,
    without_grant,
    without_target,
)
from meshd.wire.errors import BadRequest, NotFound

IDS = {"github": "conn_github", "conn_github": "conn_github", "fs": "conn_fs"}
NAMES = {"conn_github": "github", "conn_fs": "fs"}


def resolve(name: str) -> str:
    if name not in IDS:
        raise NotFound(f"there is no connection {name}")
    return IDS[name]


@pytest.mark.parametrize(
    ("text", "target", "grant"),
    [
        ("github", "conn_github", "*"),
        ("conn_github", "conn_github", "*"),
        ("github/*", "conn_github", "*"),
        ("github/get_issue", "conn_github", "get_issue"),
        ("github/a/b", "conn_github", "a/b"),
        ("fs/resource:file:///tmp/*", "conn_fs", "resource:file:///tmp/*"),
        ("fs/prompt:*", "conn_fs", "prompt:*"),
        ("*", "*", "*"),
        ("*/get_*", "*", "get_*"),
        ("self", "self", "*"),
        ("self/key.add", "self", "key.add"),
        ("fs/naïve tool", "conn_fs", "naïve tool"),
    ],
)
def test_reading_a_grant(text: str, target: str, grant: str) -> None:
    assert parse_grant(text, resolve) == (target, grant)


@pytest.mark.parametrize("grant", ["key.add", "key.*", "*", "*.list"])
def test_what_is_new_under_self_covers_a_call(grant: str) -> None:
    assert check_new("self", grant) == ("self", grant)
    assert check_new("conn_github", "no.call") == ("conn_github", "no.call")
    with pytest.raises(BadRequest, match="no call is named"):
        check_new("self", grant.replace("*", "x") + "y")


def test_a_slip_of_the_pen_is_told_what_is_near() -> None:
    with pytest.raises(BadRequest) as refused:
        check_new("self", "key.ad")
    assert refused.value.facts["near"].split()[0] == "key.add"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "github/",
        "fs/resource:",
        "fs/prompt:",
        "self/",
        "*/",
        "a\n",
        "fs/\x1b[31m",
        "fs/" + "x" * MAX_LENGTH,
    ],
)
def test_what_is_no_grant(text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_grant(text, resolve)
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 120


@pytest.mark.parametrize("text", ["nobody", "nobody/x", "/x", " github", "Self", "**", "**/x"])
def test_an_unknown_connection(text: str) -> None:
    with pytest.raises(NotFound):
        parse_grant(text, resolve)


@pytest.mark.parametrize(
    ("grant", "kind", "pattern"),
    [("a", "tool", "a"), ("resource:x", "resource", "x"), ("prompt:*", "prompt", "*"), ("re*", "tool", "re*"),
     ("resources:x", "tool", "resources:x")],
)  # fmt: skip
def test_what_a_grant_is_about(grant: str, kind: str, pattern: str) -> None:
    assert split_grant(grant) == (kind, pattern)


PATTERNS = st.sampled_from(["*", "a", "b*", "resource:x", "prompt:*", "a/b"])
HELD = st.dictionaries(
    st.sampled_from(["*", "self", "conn_github", "conn_fs"]),
    st.lists(PATTERNS, min_size=1, max_size=3, unique=True).map(tuple),
)


@given(HELD)
def test_what_is_shown_is_what_an_operator_would_type(held) -> None:
    back = {}
    for text in show_grants(held, NAMES.__getitem__):
        back = with_grant(back, *parse_grant(text, resolve))
    assert back == held


@given(HELD, st.sampled_from(["*", "self", "conn_fs"]), PATTERNS)
def test_adding_and_taking_away_exactly_one_entry(held, target: str, grant: str) -> None:
    more = with_grant(held, target, grant)
    assert grant in more[target]
    assert with_grant(more, target, grant) == more
    less = without_grant(more, target, grant)
    assert less is not None
    assert grant not in less.get(target, ())
    assert all(less.values())
    assert without_grant(less, target, grant) is None
    if grant not in held.get(target, ()):
        assert less == held


@given(HELD)
def test_a_removed_target_leaves_nothing_behind(held) -> None:
    left = without_target(held, "conn_fs")
    assert "conn_fs" not in left
    assert {t: g for t, g in held.items() if t != "conn_fs"} == left
    assert {t: tuple(g) for t, g in to_json(left).items()} == left

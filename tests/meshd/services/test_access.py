"""The one authorization function, over the whole grammar."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.core.glob import glob_match
from meshd.services.access import ROLES, check_role, decide, decide_call, is_exact, scope_at
from meshd.services.principal import Principal
from meshd.wire.calls import CALLS
from meshd.wire.errors import BadRequest
from tests.support.principals import key_principal, local_principal

A, B = "conn_a", "conn_b"
KINDS = ["tool", "resource", "prompt", "other"]
BY_NAME = {call.name: call for call in CALLS}


def allows(who: Principal, target: str, kind: str, name: str, *, reads_only: bool = False) -> bool:
    return bool(decide(who, target, kind, name, reads_only=lambda: reads_only))


@pytest.mark.parametrize(
    ("held", "allowed", "refused"),
    [
        ({}, [], [(A, "tool", "add"), (A, "other", "tasks/get"), (A, "tool", "")]),
        ({A: ["*"]},
         [(A, "tool", "add"), (A, "resource", "file:///x"), (A, "prompt", "p"), (A, "other", "x")],
         [(B, "tool", "add"), (B, "other", "x")]),
        ({"*": ["*"]}, [(A, "tool", "add"), (B, "resource", "u"), (B, "other", "x")], []),
        ({A: ["add"]}, [(A, "tool", "add")],
         [(A, "tool", "adds"), (A, "tool", "ad"), (A, "tool", "Add"), (A, "resource", "add"),
          (A, "prompt", "add"), (A, "other", "add"), (B, "tool", "add")]),
        ({A: ["get_*"]}, [(A, "tool", "get_"), (A, "tool", "get_x")],
         [(A, "tool", "get"), (A, "tool", "xget_"), (A, "other", "get_x")]),
        ({"*": ["get_*"]}, [(A, "tool", "get_x"), (B, "tool", "get_x")], [(A, "tool", "set_x")]),
        ({A: ["resource:file:///a/*"]}, [(A, "resource", "file:///a/b/c")],
         [(A, "resource", "file:///b"), (A, "tool", "resource:file:///a/b"),
          (A, "prompt", "file:///a/b"), (A, "tool", "file:///a/b")]),
        ({A: ["resource:file:///a/*"]}, [(A, "resource", "file:///a/..b/...")],
         [(A, "resource", f"file:///a/{rest}")
          for rest in ("../b", "%2E./b", "x/..", "..%2fb", "x%2F%2e%2e?y", "..\\b")]),
        ({A: ["resource:*"]}, [(A, "resource", "file:///a/../b")], []),
        ({A: ["resource:file:///a/../b"]}, [(A, "resource", "file:///a/../b")],
         [(A, "resource", "file:///b")]),
        ({A: ["prompt:*"]}, [(A, "prompt", "anything")], [(A, "tool", "x"), (A, "other", "x")]),
        ({A: ["**"]}, [(A, "tool", "x")], [(A, "resource", "x"), (A, "other", "x")]),
        ({A: ["add"], B: ["*"], "*": ["prompt:p"]},
         [(A, "tool", "add"), (A, "prompt", "p"), (B, "tool", "z")], [(A, "tool", "z")]),
        ({"self": ["*"]}, [], [(A, "tool", "add"), ("self", "other", "x")]),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)  # fmt: skip
def test_grants_at_a_connection(held, allowed, refused) -> None:
    who = key_principal(held)
    for target, kind, name in allowed:
        assert allows(who, target, kind, name), (target, kind, name)
    for target, kind, name in refused:
        if target != "self":
            assert not allows(who, target, kind, name), (target, kind, name)


@pytest.mark.parametrize("role", [None, *ROLES])
def test_a_role_adds_to_the_grants_of_the_key(role: str | None) -> None:
    who = key_principal({A: ["add"]}, role=role)
    assert allows(who, A, "tool", "add")
    assert allows(who, B, "tool", "anything") == (role is not None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reads_only", [True, False])
def test_a_read_only_key(kind: str, reads_only: bool) -> None:
    """Tools by their present annotation; reading a resource or prompt changes nothing."""
    who = key_principal({"*": ["*"]}, read_only=True)
    expected = {"tool": reads_only, "resource": True, "prompt": True, "other": False}[kind]
    assert allows(who, A, kind, "x", reads_only=reads_only) == expected


def test_the_annotation_is_asked_for_only_where_it_decides() -> None:
    """It may cost a request to the upstream."""

    def unasked() -> bool:
        raise AssertionError("asked")

    decide(key_principal({A: ["*"]}), A, "tool", "x", reads_only=unasked)
    decide(key_principal({B: ["*"]}, read_only=True), A, "tool", "x", reads_only=unasked)
    decide(key_principal({A: ["*"]}, read_only=True), A, "prompt", "x", reads_only=unasked)


@pytest.mark.parametrize(
    ("kind", "name", "grant"),
    [("tool", "add", "add"), ("resource", "file:///x", "resource:file:///x"),
     ("prompt", "p", "prompt:p"), ("other", "tasks/get", "*")],
)  # fmt: skip
def test_a_refusal_names_the_grant_that_would_change_it(kind: str, name: str, grant: str) -> None:
    refused = decide(key_principal({A: ["nothing"]}), A, kind, name, reads_only=lambda: False)
    assert (refused.allowed, refused.grant) == (False, grant)
    assert allows(key_principal({A: [grant]}), A, kind, name)


def test_an_allowance_names_its_rules() -> None:
    who = key_principal({A: ["add", "get_*"]})
    assert decide(who, A, "tool", "add", reads_only=lambda: False).rule == f"{A}/add, {A}/get_*"


def test_some_grant_or_none_at_all() -> None:
    """What lists ask before anything else."""
    who = key_principal({A: ["prompt:x"], "self": ["*"]})
    assert scope_at(who, A).any
    assert not scope_at(who, B).any
    assert scope_at(key_principal({"*": ["x"]}), B).any


GRANTS = st.sampled_from(
    [
        "*",
        "**",
        "a",
        "b",
        "a*",
        "*b",
        "a*b",
        "resource:*",
        "resource:a",
        "prompt:a*",
        "resource:",
        "re*",
    ]
)
TARGETS = st.sampled_from([A, B, "*", "self"])
HELD = st.dictionaries(TARGETS, st.lists(GRANTS, min_size=1, max_size=3), max_size=4)
ASKED = st.tuples(
    st.sampled_from([A, B]),
    st.sampled_from(KINDS),
    st.sampled_from(["a", "b", "ab", "aab", "resource:a", ""]),
)


@given(HELD, TARGETS, GRANTS, ASKED, st.booleans())
def test_one_grant_more_never_takes_a_right_away(held, target, grant, asked, read_only) -> None:
    more = {**held, target: [*held.get(target, []), grant]}
    if allows(key_principal(held, read_only=read_only), *asked):
        assert allows(key_principal(more, read_only=read_only), *asked)


@given(HELD, st.lists(ASKED, min_size=1, max_size=12))
def test_a_remembered_decision_is_the_fresh_one(held, asked) -> None:
    """One principal asked again and again, against a new one for every question."""
    who = key_principal(held)
    for question in (*asked, *asked):
        assert allows(who, *question) == allows(key_principal(held), *question)


def test_what_is_remembered_is_bounded() -> None:
    """Names are the callers' own: neither many nor long ones may fill the memory."""
    who = key_principal({A: ["a*"]})
    for number in range(3000):
        allows(who, A, "tool", f"a{number}")
        allows(who, A, "tool", "x" * 1000 + str(number))
    kept = scope_at(who, A)._decided
    assert len(kept) <= 1000
    assert max(len(name) for _, name in kept) <= 200


@given(st.lists(GRANTS, max_size=4), st.sampled_from([call.name for call in CALLS]))
def test_a_star_as_target_never_manages(grants: list[str], name: str) -> None:
    who = key_principal({"*": ["*", *grants], A: ["*"]})
    assert bool(decide_call(who, BY_NAME[name])) == (BY_NAME[name].right == "target")


@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_a_glob_is_the_regular_expression_it_looks_like(pattern: str, text: str) -> None:
    oracle = re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
    assert glob_match(pattern, text) == (oracle.fullmatch(text) is not None)


@pytest.mark.parametrize("pattern", ["?", "[a]", "a.c", "\\*", "a+"])
def test_nothing_but_the_star_is_special(pattern: str) -> None:
    assert glob_match(pattern, pattern)
    assert not glob_match(pattern, "a")
    assert not glob_match(pattern, "abc")


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_the_person_at_the_socket_may_make_every_call(call) -> None:
    assert decide_call(local_principal(), call)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_which_grants_under_self_allow_a_call(call) -> None:
    """Exactly, by a pattern unless it has to be named, and never by another's name."""
    free = call.right == "target"
    noun = call.name.partition(".")[0]
    exactly = key_principal({"self": [call.name]})
    assert decide_call(exactly, call)
    for pattern in ("*", f"{noun}*", f"*{call.name}", f"{call.name}*"):
        assert bool(decide_call(key_principal({"self": [pattern]}), call)) == (
            free or not is_exact(call)
        )
    for other in ("nothing", call.name[:-1], call.name.upper(), noun + "."):
        assert bool(decide_call(key_principal({"self": [other]}), call)) == free
    assert bool(decide_call(key_principal({"*": ["*"]}), call)) == free


def test_what_has_to_be_named() -> None:
    """New secrets, what is the owner's, and speaking for others."""
    named = {call.name for call in CALLS if is_exact(call)}
    assert named >= {"key.add", "key.rotate", "org.remove", "event.publish_as"}
    assert not named & {"event.publish", "subscription.add", "subscription.remove"}


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
@pytest.mark.parametrize("role", list(ROLES))
def test_which_calls_a_role_allows(call, role: str) -> None:
    """Nothing of the instance and nothing that has to be named; a user's only its own things."""
    manages = role != "user" and call.right == "org" and not is_exact(call)
    manages = manages or (role == "owner" and call.owner_only)
    expected = call.right in {"target", "own"} or manages
    assert bool(decide_call(key_principal({}, role=role), call)) == expected


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_a_read_only_key_makes_reading_calls_only(call) -> None:
    who = key_principal({"self": [call.name]}, read_only=True)
    assert bool(decide_call(who, call)) == (call.right == "target" or call.method == "GET")


@pytest.mark.parametrize("call", [c for c in CALLS if c.right == "instance"], ids=lambda c: c.name)
def test_what_concerns_the_instance_needs_its_admin_and_the_key_to_say_so(call) -> None:
    """A role is held in an org; an admin of it must not run programs on the machine."""
    said = {"self": [call.name]}
    assert decide_call(key_principal(said), call)
    assert not decide_call(key_principal(said, instance_admin=False), call)
    assert not decide_call(key_principal({}, role="owner"), call)
    assert not decide_call(key_principal({}, role="admin"), call)
    refused = decide_call(key_principal({}, role="admin"), call)
    assert refused.grant == call.name


def test_a_role_has_to_exist() -> None:
    assert check_role(None) is None
    assert [check_role(role) for role in ROLES] == list(ROLES)
    for role in ("", "Owner", "root", "\x1b"):
        with pytest.raises(BadRequest, match="no role") as refused:
            check_role(role)
        assert refused.value.message.isprintable()

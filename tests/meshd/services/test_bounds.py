"""Nothing made with a key exceeds it: neither what is granted, nor for how long, nor how."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from meshd.services.access import decide, decide_call
from meshd.services.bounds import check_within
from meshd.services.principal import Principal
from meshd.wire.calls import CALLS
from meshd.wire.errors import Denied
from tests.support.principals import key_principal, local_principal

A, B = "conn_a", "conn_b"


def is_within(maker: Principal, made: Principal) -> bool:
    try:
        check_within(maker, made)
    except Denied:
        return False
    return True


@pytest.mark.parametrize(
    ("held", "gives", "refuses"),
    [
        ({A: ["*"]}, [(A, "*"), (A, "x"), (A, "x*"), (A, "resource:*")], [(B, "x"), ("*", "x"), ("self", "whoami")]),
        ({"*": ["*"]}, [("*", "*"), (A, "*"), ("*", "prompt:p")], [("self", "*"), ("self", "whoami")]),
        ({"*": ["get_*"]}, [("*", "get_*"), (A, "get_x"), (A, "get_*")],
         [(A, "*"), (A, "get_x*"), (A, "set"), ("*", "**")]),
        ({A: ["r*"]}, [(A, "run")], [(A, "resource:x"), (A, "resource:*"), (A, "prompt:r")]),
        ({A: ["*:*"]}, [(A, "a:b")], [(A, "resource:x"), (A, "prompt:x")]),
        ({A: ["resource:*"]}, [(A, "resource:x"), (A, "resource:x*")], [(A, "x"), (A, "*"), (A, "prompt:x")]),
        ({A: ["resource:f*"]}, [(A, "resource:f"), (A, "resource:f*")], [(A, "resource:fa*"), (A, "resource:g")]),
        ({A: ["a", "b"]}, [(A, "a"), (A, "b")], [(A, "ab"), (A, "*")]),
        ({"self": ["*"]}, [("self", "*"), ("self", "key.*"), ("self", "key.edit"), ("self", "connection.add_stdio")],
         [("self", "key.add"), ("self", "key.rotate"), (A, "x")]),
        ({"self": ["key.*"]}, [("self", "key.*"), ("self", "key.list")],
         [("self", "*"), ("self", "key.add"), ("self", "key.rotate"), ("self", "key.l*")]),
        ({"self": ["key.add"]}, [("self", "key.add")], [("self", "key.rotate"), ("self", "key.list"), ("self", "*")]),
    ],
    ids=str,
)  # fmt: skip
def test_which_grants_may_be_passed_on(held, gives, refuses) -> None:
    maker = key_principal(held)
    for target, grant in gives:
        assert is_within(maker, key_principal({target: [grant]})), (target, grant)
    for target, grant in refuses:
        assert not is_within(maker, key_principal({target: [grant]})), (target, grant)


@pytest.mark.parametrize(
    ("maker", "gives", "refuses"),
    [
        ({"role": "user"}, [("user", {}), (None, {A: ["*"]}), (None, {"self": ["whoami"]})],
         [("admin", {}), ("owner", {}), (None, {"self": ["*"]}), (None, {"self": ["key.list"]})]),
        ({"role": "admin"}, [("user", {}), ("admin", {}), (None, {"self": ["connection.add"]}), (None, {"*": ["*"]})],
         [("owner", {}), (None, {"self": ["*"]}), (None, {"self": ["connection.*"]}),
          (None, {"self": ["connection.add_stdio"]}), (None, {"self": ["key.add"]})]),
        ({"role": "owner"}, [("user", {}), ("admin", {}), ("owner", {})],
         [(None, {"self": ["connection.add_stdio"]}), (None, {"self": ["*"]})]),
        ({"held": {"*": ["*"], "self": ["*"]}}, [("user", {}), ("admin", {})], [("owner", {})]),
        ({"held": {"*": ["*"]}}, [], [("user", {}), ("admin", {}), ("owner", {})]),
        ({"held": {A: ["*"], "self": ["*"]}}, [], [("user", {})]),
    ],
    ids=str,
)  # fmt: skip
def test_roles(maker, gives, refuses) -> None:
    """A role's rights turn into the key's own when they are granted, so less of it may be."""
    who = key_principal(maker.get("held"), role=maker.get("role"))
    for role, held in gives:
        assert is_within(who, key_principal(held, role=role)), (role, held)
    for role, held in refuses:
        assert not is_within(who, key_principal(held, role=role)), (role, held)


@pytest.mark.parametrize(
    ("ends", "given", "fits"),
    [
        (None, None, True),
        (None, 5, True),
        (5, 5, True),
        (5, 4, True),
        (5, 6, False),
        (5, None, False),
    ],
)
def test_what_is_made_ends_no_later(ends: int | None, given: int | None, fits: bool) -> None:
    assert is_within(key_principal(expires_at=ends), key_principal(expires_at=given)) == fits


def test_what_a_read_only_key_makes_is_read_only() -> None:
    assert is_within(key_principal(read_only=True), key_principal(read_only=True))
    assert is_within(key_principal(), key_principal(read_only=True))
    assert not is_within(key_principal(read_only=True), key_principal())


def test_a_key_of_an_instance_admin_is_out_of_reach_for_others() -> None:
    """Its `self` grants reach further than the same words in the maker's key."""
    bob = key_principal({"self": ["*"], "*": ["*"]}, instance_admin=False)
    assert not is_within(bob, key_principal({"self": ["*"]}))
    assert is_within(bob, key_principal({"*": ["*"]}))
    assert is_within(bob, key_principal({"self": ["*"]}, instance_admin=False))


def test_the_person_at_the_socket_has_no_bounds() -> None:
    check_within(local_principal(), key_principal({"self": ["*", "key.add"]}, role="owner"))


NAMES = ["key.add", "key.list", "org.remove", "connection.add", "daemon.show"]
"""Of each kind one: with a secret in the answer, plain, an owner's, the instance's."""
GRANTS = st.sampled_from(
    ["*", "**", "a", "a*", "*b", "resource:*", "resource:a", "prompt:a*", "re*", "*:*"]
)
CALL_GRANTS = st.sampled_from(["*", "key.*", "connection.*", "**", "*add*", *NAMES])
HELD = st.fixed_dictionaries(
    {},
    optional={
        A: st.lists(GRANTS, min_size=1, max_size=3),
        "*": st.lists(GRANTS, min_size=1, max_size=2),
        "self": st.lists(CALL_GRANTS, min_size=1, max_size=4),
    },
)
KEYS = st.builds(
    key_principal,
    HELD,
    role=st.sampled_from([None, None, "user", "admin", "owner"]),
    read_only=st.booleans(),
    instance_admin=st.booleans(),
    expires_at=st.sampled_from([None, 5, 9]),
)


@settings(max_examples=50)
@given(KEYS, KEYS)
def test_whatever_is_within_can_do_nothing_that_its_maker_cannot(
    maker: Principal, made: Principal
) -> None:
    """Over every call and every kind of thing at a connection."""
    assume(is_within(maker, made))
    for call in CALLS:
        if decide_call(made, call):
            assert decide_call(maker, call), call.name
    for target in (A, B):
        for kind in ("tool", "resource", "prompt", "other"):
            for name in ("a", "ab", "resource:a", "x:y", ""):
                for reads in (True, False):
                    if decide(made, target, kind, name, reads_only=lambda reads=reads: reads):
                        assert decide(
                            maker, target, kind, name, reads_only=lambda reads=reads: reads
                        )
    assert maker.expires_at is None or (
        made.expires_at is not None and made.expires_at <= maker.expires_at
    )

"""Signatures of senders: the vectors that they publish, and everything that is not quite one."""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.bus import signing
from meshd.bus.hook_signatures import (
    MAX_SIGNATURES,
    TOLERANCE,
    BadSecret,
    BadSignature,
    Signature,
    check_secret,
    identify,
    verify,
)
from meshd.core.secret import Secret


class Vector(NamedTuple):
    kind: Signature
    secret: str
    now: int
    headers: Mapping[str, str]
    body: bytes


SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F"
    b"96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
STRIPE_BODY = b'{"id": "evt_1", "type": "charge.succeeded"}'
STRIPE = hmac.digest(b"whsec_test_secret", b"1614265330." + STRIPE_BODY, "sha256").hex()
VECTORS = {
    # docs.github.com, "Validating webhook deliveries"
    "github": Vector(
        "github", "It's a Secret to Everybody", 0,
        {"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
        b"Hello, World!",
    ),
    # docs.stripe.com has the algorithm and no numbers
    "stripe": Vector(
        "stripe", "whsec_test_secret", 1614265330,
        {"Stripe-Signature": f"t=1614265330,v1={STRIPE},v0=6ffbb59b2300aae63f272406069a9788598b792a"},
        STRIPE_BODY,
    ),
    # docs.slack.dev, "Verifying requests from Slack"
    "slack": Vector(
        "slack", "8f742231b10e8888abcd99yyyzzz85a5", 1531420618,
        {"X-Slack-Request-Timestamp": "1531420618",
         "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"},
        SLACK_BODY,
    ),
    # standard-webhooks/spec and its libraries
    "standard": Vector(
        "standard", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1614265330,
        {"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
         "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
        b'{"test": 2432232314}',
    ),
}  # fmt: skip
STAMPED = ["stripe", "slack", "standard"]


def passes(
    vector: Vector, *, now: int = 0, body: bytes | None = None, secret: str = "", **headers: str
) -> bool:
    """Whether it does with something else about it."""
    given = {**vector.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
    secrets = [Secret(secret or vector.secret)]
    try:
        verify(vector.kind, secrets, given, vector.body if body is None else body, vector.now + now)
    except BadSignature:
        return False
    return True


@pytest.mark.parametrize("name", VECTORS)
def test_what_the_sender_publishes_as_an_example_is_right(name: str) -> None:
    assert passes(VECTORS[name])


@pytest.mark.parametrize("name", VECTORS)
def test_one_other_byte_or_secret_or_no_signature_is_wrong(name: str) -> None:
    vector = VECTORS[name]
    assert not passes(vector, body=vector.body + b" ")
    assert not passes(vector, body=b"")
    other = "whsec_" + b64encode(b"another secret of ours").decode()
    assert not passes(vector, secret=other)
    with pytest.raises(BadSignature):
        verify(vector.kind, [Secret(vector.secret)], {}, vector.body, vector.now)
    with pytest.raises(BadSignature):
        verify(vector.kind, [], vector.headers, vector.body, vector.now)


@pytest.mark.parametrize("name", STAMPED)
def test_the_time_may_be_five_minutes_off(name: str) -> None:
    vector = VECTORS[name]
    assert passes(vector, now=TOLERANCE)
    assert passes(vector, now=-TOLERANCE)
    assert not passes(vector, now=TOLERANCE + 1)
    assert not passes(vector, now=-TOLERANCE - 1)


def test_the_time_is_signed() -> None:
    """A later time in the header does not make an old signature new."""
    slack, standard, stripe = VECTORS["slack"], VECTORS["standard"], VECTORS["stripe"]
    later = {"now": 1000}
    assert not passes(slack, **later, X_Slack_Request_Timestamp=str(slack.now + 1000))
    assert not passes(standard, **later, webhook_timestamp=str(standard.now + 1000))
    moved = stripe.headers["Stripe-Signature"].replace("t=1614265330", "t=1614266330")
    assert not passes(stripe, **later, Stripe_Signature=moved)
    assert not passes(standard, webhook_id="msg_other"), "so is the id"


@pytest.mark.parametrize("stamp", ["", "x", "-5", "1e9", "٣", "9" * 400])
def test_what_is_no_time_is_refused(stamp: str) -> None:
    assert not passes(VECTORS["slack"], X_Slack_Request_Timestamp=stamp)


def test_one_of_several_signatures_is_enough_and_only_so_many_are_looked_at() -> None:
    standard, stripe = VECTORS["standard"], VECTORS["stripe"]
    right, wrong = standard.headers["webhook-signature"], "v1," + b64encode(b"x" * 32).decode()
    assert passes(standard, webhook_signature=f"{wrong} v2,abc nonsense v1,%% {right}")
    assert passes(stripe, Stripe_Signature=f"t={stripe.now},v1={'0' * 64},v1=zz,v1={STRIPE}")
    many = " ".join([wrong] * MAX_SIGNATURES)
    assert not passes(standard, webhook_signature=f"{many} {right}")
    assert not passes(standard, webhook_signature=right.replace("v1,", "v1a,")), "another scheme"


def test_either_of_two_secrets_is_right() -> None:
    vector = VECTORS["github"]
    for secrets in (["other-one", vector.secret], [vector.secret, "other-one"]):
        verify(vector.kind, [Secret(one) for one in secrets], vector.headers, vector.body, 0)


@settings(deadline=None)
@given(
    body=st.binary(max_size=200), name=st.text("abcxyz_-", min_size=1), now=st.integers(400, 2**33)
)
def test_what_we_sign_ourselves_is_right(body: bytes, name: str, now: int) -> None:
    """Outgoing and incoming webhooks agree on the standard."""
    secret = signing.new_secret()
    headers = signing.headers([secret], name, now, body)
    verify("standard", [secret], headers, body, now)
    with pytest.raises(BadSignature):
        verify("standard", [secret], headers, body + b"x", now)


@settings(deadline=None)
@given(headers=st.dictionaries(st.sampled_from([
    "X-Hub-Signature-256", "Stripe-Signature", "X-Slack-Request-Timestamp", "X-Slack-Signature",
    "webhook-id", "webhook-timestamp", "webhook-signature"]), st.text(max_size=60)),
    kind=st.sampled_from(sorted(VECTORS)), body=st.binary(max_size=50))  # fmt: skip
def test_garbage_is_refused_and_nothing_else_happens(
    headers: dict[str, str], kind: Signature, body: bytes
) -> None:
    with pytest.raises(BadSignature):
        verify(kind, [Secret(VECTORS[kind].secret)], headers, body, 1_700_000_000)


@pytest.mark.parametrize(
    ("kind", "secret"),
    [("github", "short"), ("stripe", "x" * 501), ("slack", "with\nline"), ("github", "grün-grün"),
     ("standard", "no base64 at all!"), ("standard", "whsec_" + b64encode(b"short").decode())],
)  # fmt: skip
def test_what_is_no_secret_is_refused(kind: Signature, secret: str) -> None:
    with pytest.raises(BadSecret) as refused:
        check_secret(kind, Secret(secret))
    assert secret not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "headers", "payload", "expected"),
    [
        ("github", {"X-GitHub-Delivery": "d-1", "X-GitHub-Event": "push"}, {"id": 1}, ("d-1", "push")),
        ("stripe", {}, {"id": "evt_1", "type": "charge.succeeded"}, ("evt_1", "charge.succeeded")),
        ("slack", {}, {"event_id": "Ev1", "type": "event_callback", "event": {"type": "message"}}, ("Ev1", "message")),
        ("slack", {}, {"event_id": "Ev1", "type": "app_rate_limited"}, ("Ev1", "app_rate_limited")),
        ("standard", {"webhook-id": "msg_1"}, {"type": "user.made"}, ("msg_1", "user.made")),
        ("standard", {"webhook-id": "msg_1"}, ["no", "object"], ("msg_1", None)),
    ],
)  # fmt: skip
def test_what_the_sender_calls_it(
    kind: Signature, headers: dict[str, str], payload: Any, expected: tuple[str, str | None]
) -> None:
    sent = identify(kind, headers, b"{}", payload)
    assert (sent.id, sent.event) == expected


@pytest.mark.parametrize("odd", [None, 7, "", "x" * 201, "line\nbreak", {"a": 1}])
def test_without_a_usable_id_the_body_is_its_own(odd: object) -> None:
    one, other = (identify("stripe", {}, body, {"id": odd, "type": odd}) for body in (b"a", b"b"))
    assert one.id == sha256(b".a").hexdigest() != other.id
    assert one.event is None


def test_a_form_of_slack_is_told_apart_by_its_time_and_nothing_that_is_not_signed() -> None:
    stamp = {"X-Slack-Request-Timestamp": "1"}
    assert identify("slack", stamp, b"a", {}).id != identify("slack", {}, b"a", {}).id
    assert identify("stripe", stamp, b"a", {}).id == identify("stripe", {}, b"a", {}).id

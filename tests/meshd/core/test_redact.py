"""Redaction: what has the name or the shape of a secret does not come out."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.core.redact import MASK, redact_json, redact_text

SECRET = "hunter2-hunter2-hunter2"
SHAPES = [
    "mshs_" + "a1B2" * 11 + "xy",
    "ghp_" + "a" * 36,
    "github_pat_" + "a" * 30,
    "sk-" + "a1" * 12,
    "sk_live_" + "a" * 24,
    "rk_test_" + "a" * 24,
    "whsec_" + "a" * 24,
    "xoxb-1234567890-abc",
    "AKIA" + "ABCDEFGH12345678",
    "AIza" + "x" * 35,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_DEF-123",
]


@pytest.mark.parametrize("secret", SHAPES)
@pytest.mark.parametrize("around", ["{}", "see {} there", '"{}",', "x={}&y", "({})"])
def test_credentials_of_known_shapes_are_masked_wherever_they_stand(
    secret: str, around: str
) -> None:
    masked = redact_text(around.format(secret))
    assert secret not in masked
    assert MASK in masked


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        f"bearer {SECRET}",
        "Basic aGVsbG86d29ybGQ=",
        f"https://ada:{SECRET}@example.com/x",
        f"password={SECRET}",
        f"PASSWORD: {SECRET}",
        f'"api_key": "{SECRET}"',
        f"api-key = '{SECRET}'",
        f"?access_token={SECRET}&x=1",
        f"client_secret_2={SECRET}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
    ],
)
def test_credentials_known_by_what_stands_before_them(text: str) -> None:
    masked = redact_text(text)
    assert SECRET not in masked
    assert "aGVsbG86d29ybGQ" not in masked
    assert MASK in masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a plain sentence about tokens and keys",
        "task-force-one-two-three-four",
        "https://example.com:80/x@y",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert redact_text(text) == text


NAMES = [
    "password", "Password2", "user_password_hash", "passwd", "passphrase", "pwd", "client_secret",
    "access_token", "Authorization", "api_key", "apiKey", "x-api-key", "credentials", "privateKey",
    "Set-Cookie", "sessionId", "bearer", "auth", "accessKey", "otp", "X-Amz-Signature",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [SECRET, [SECRET], {"a": SECRET}], ids=["text", "list", "object"])
def test_values_of_secret_names_are_masked_at_any_depth(name: str, value: object) -> None:
    raw = json.dumps({"a": [{"b": {name: value}}]}).encode()
    assert json.loads(redact_json(raw)) == {"a": [{"b": {name: MASK}}]}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"password": 1234, "pin": 77.5}, {"password": MASK, "pin": MASK}),
        ({"max_tokens": 100, "progressToken": 7}, {"max_tokens": 100, "progressToken": 7}),
        ({"secret": True, "token": None}, {"secret": True, "token": None}),
        ({"n": 12345678901234567890123, "x": 1.5}, {"n": 12345678901234567890123, "x": 1.5}),
        ({"headers": [{"name": "Authorization", "value": f"Bearer {SECRET}"}]},
         {"headers": [{"name": "Authorization", "value": f"Bearer {MASK}"}]}),
        ({SHAPES[0]: 1}, {MASK: 1}),
    ],
)  # fmt: skip
def test_numbers_flags_and_names(given: object, kept: object) -> None:
    """Numbers that count stay; those of a secret's name do not."""
    assert json.loads(redact_json(json.dumps(given).encode())) == kept


def test_json_inside_text_is_read_like_json() -> None:
    """Tools answer with JSON as text; in it secrets have names, not shapes."""
    inner = json.dumps({"password": "short", "deeper": json.dumps([{"token": "x"}])})
    out = json.loads(
        redact_json(json.dumps({"content": [{"type": "text", "text": inner}]}).encode())
    )
    read = json.loads(out["content"][0]["text"])
    assert read["password"] == MASK
    assert json.loads(read["deeper"]) == [{"token": MASK}]


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"nope", b'{"a":"\xff"}', b'{"a":"\\ud800"}', b"[" * 100_000, b"[" * 5000 + b"]" * 5000,
     b"1e999", b"9" * 5000, b'{"a":NaN}'],
    ids=lambda raw: repr(raw[:12]),
)  # fmt: skip
def test_what_cannot_be_read_is_not_kept(raw: bytes) -> None:
    """And never raises: a record must not be lost to its body."""
    assert redact_json(raw) == b"null"


@settings(max_examples=50)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_redacting_twice_changes_nothing_more(value: object) -> None:
    """What comes out is JSON, and masked as far as it will ever be."""
    once = redact_json(json.dumps(value).encode())
    json.loads(once)
    assert redact_json(once) == once


@given(st.text(alphabet=st.characters(codec=None)))
def test_text_comes_out_as_valid_unicode(text: str) -> None:
    redact_text(text).encode()


@pytest.mark.parametrize(
    "unit",
    ["eyJ-", "eyJaaaaaaaa.", "password", "passwordx", "token: ", "://a:", "sk-", "Bearer ", "AIza-",
     "-----BEGIN PRIVATE KEY ", "://" + "a:" * 20],
)  # fmt: skip
def test_no_text_takes_longer_than_its_length_explains(unit: str) -> None:
    """Four times the text may take about four times as long, not sixteen."""
    import time

    def cost(size: int) -> float:
        text = unit * (size // len(unit))
        best = float("inf")
        for _ in range(3):
            began = time.thread_time()
            redact_text(text)
            best = min(best, time.thread_time() - began)
        return best

    small, large = cost(10_000), cost(40_000)
    assert large < 9 * max(small, 0.0005)

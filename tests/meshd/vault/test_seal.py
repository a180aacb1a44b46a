"""Sealed session ids: they carry a session through a restart and tell strangers nothing."""

import base64
import dataclasses
import re
import string

import msgspec
import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from hypothesis import given
from hypothesis import strategies as st

from meshd.vault.errors import BadFormat, VaultError
from meshd.vault.seal import MAX_TOKEN, Sealer, Session

NOW = 1_800_000_000
ALPHABET = string.ascii_letters + string.digits + "-_"
SESSION = Session(
    principal="key_2f9a7c41d0b3",
    connection="con_77aa01c2e4f9",
    upstream="5f0c1f2e-9a77-4f51-8a52-0d7c8f1f9e3b",
    version="2025-11-25",
    daemon="dmn_a",
    expires=NOW + 3600,
    id=bytes(range(16)),
)


class Clock:
    def __init__(self) -> None:
        self.now: float = NOW

    def __call__(self) -> float:
        return self.now


def sealer(key: bytes = b"k" * 32, daemon: str = "dmn_a") -> Sealer:
    return Sealer(key, daemon, Clock())


SEALER = sealer()
TOKEN = SEALER.seal(SESSION)


@given(
    principal=st.text(max_size=60),
    connection=st.text(max_size=60),
    upstream=st.none() | st.from_regex(r"[\x21-\x7e]{1,200}", fullmatch=True),
    version=st.text(max_size=20),
    expires=st.integers(NOW + 1, 2**40),
    name=st.binary(max_size=16),
)
def test_what_is_sealed_opens(
    *,
    principal: str,
    connection: str,
    upstream: str | None,
    version: str,
    expires: int,
    name: bytes,
):
    session = Session(principal, connection, upstream, version, "dmn_a", expires, name)
    assert SEALER.open(SEALER.seal(session)) == session


def test_a_session_survives_a_restart_of_its_daemon():
    """Another sealer with the same key and name, as the next process makes it."""
    assert sealer().open(TOKEN) == SESSION


def test_a_session_that_ends_here_keeps_its_client() -> None:
    """What the client declared survives a restart with the token."""
    session = dataclasses.replace(SESSION, upstream=None, client='{"roots":{}}')
    assert SEALER.open(SEALER.seal(session)) == session


def test_a_token_of_this_format_opens_for_ever():
    """Clients hold tokens over an update of the daemon: this one was written down once."""
    assert sealer().open(GOLDEN) == SESSION


GOLDEN = (
    "AdChn-WmrQmHeD9G98-hZp_2qaWRSOaA4_GkfUYmebPDS8mFrVMippo7Wkc2NbWacacX7GbKslnMnRbOebByS633"
    "yRltuRQZf5I_32adKyeV1SQpcy1tnAE53u8XpT7x8nuayNk5W8-ZQqaQAv5cfKOX1epKF4uQhraw8gvgzXn8F4j_"
    "npWCVA"
)


def test_a_token_is_short_visible_ascii():
    """A legal `Mcp-Session-Id`, with every part of a real session in it."""
    assert re.fullmatch(r"[A-Za-z0-9_-]+", TOKEN)
    assert len(TOKEN) < 220


def test_a_token_shows_nothing_of_its_session():
    """Neither as it stands nor decoded."""
    raw = base64.urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4))
    for part in (SESSION.principal, SESSION.connection, SESSION.upstream, SESSION.daemon):
        assert part is not None
        assert part not in TOKEN
        assert part.encode() not in raw


def test_no_two_tokens_are_alike():
    """Not even of one session."""
    assert len({SEALER.seal(SESSION) for _ in range(200)}) == 200


def test_each_session_has_its_own_id():
    """128 random bits, for a denylist to name it."""
    sessions = [Session("p", "c", None, "2025-11-25", "dmn_a", NOW + 1) for _ in range(100)]
    assert len({session.id for session in sessions}) == 100
    assert {len(session.id) for session in sessions} == {16}


@pytest.mark.parametrize(
    ("after", "opens"), [(0, True), (3599, True), (3599.9, True), (3600, False), (10**6, False)]
)
def test_a_session_ends_at_its_time(after: float, opens: bool):
    """At the second it names, by the clock that was given."""
    clock = Clock()
    mine = Sealer(b"k" * 32, "dmn_a", clock)
    token = mine.seal(SESSION)
    clock.now = NOW + after
    assert (mine.open(token) is not None) is opens


@pytest.mark.parametrize(
    "stranger",
    [
        pytest.param(sealer(daemon="dmn_b"), id="another daemon under the same master key"),
        pytest.param(sealer(daemon=""), id="a daemon without a name"),
        pytest.param(sealer(key=b"K" * 32), id="another installation"),
    ],
)
def test_a_stranger_does_not_open_it(stranger: Sealer):
    assert stranger.open(TOKEN) is None


def test_every_single_wrong_character_is_refused():
    """Each position, each letter of base64url: one session has one spelling."""
    for at in range(len(TOKEN)):
        for wrong in ALPHABET:
            if wrong != TOKEN[at]:
                assert SEALER.open(TOKEN[:at] + wrong + TOKEN[at + 1 :]) is None


def test_every_truncation_is_refused():
    assert all(SEALER.open(TOKEN[:size]) is None for size in range(len(TOKEN)))
    assert all(SEALER.open(TOKEN[size:]) is None for size in range(1, len(TOKEN)))


@pytest.mark.parametrize(
    "token",
    [
        "",
        "=",
        TOKEN + "=",
        TOKEN + "==",
        TOKEN + "\n",
        TOKEN + "A",
        " " + TOKEN,
        "!" + TOKEN,
        TOKEN[:40] + "." + TOKEN[40:],
        TOKEN.replace("-", "+").replace("_", "/") + "+/",
        "é" + TOKEN,
        "\ud800",
        "\x00",
        "A" * MAX_TOKEN,
        TOKEN + "A" * 10_000_000,
        "5f0c1f2e-9a77-4f51-8a52-0d7c8f1f9e3b",
    ],
)
def test_malformed_tokens_are_refused(token: str):
    """With the one answer there is for all; never an exception."""
    assert SEALER.open(token) is None


@given(st.text(st.characters(exclude_categories=())))
def test_random_text_is_refused(token: str):
    assert SEALER.open(token) is None


@given(st.binary(max_size=300))
def test_random_bytes_in_the_right_dress_are_refused(raw: bytes):
    """Base64url with our format byte in front."""
    dressed = base64.urlsafe_b64encode(b"\x01" + raw).rstrip(b"=").decode()
    assert SEALER.open(dressed) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode({"principal": "root"}),
        msgspec.msgpack.encode(("p", "c", None, "v", "soon", b"")),
        msgspec.msgpack.encode(("p", "c", None, "v")),
        msgspec.msgpack.encode(("p", "c", None, "v", NOW + 1, b"", "more")),
    ],
)
def test_another_body_under_our_own_key_is_refused(body: bytes):
    """Such as the body of another version: unreadable is a session that is not ours."""
    nonce = bytes(12)
    sealed = AESGCMSIV(b"k" * 32).encrypt(nonce, body, SEALER._bound[b"\x01"])
    token = base64.urlsafe_b64encode(b"\x01" + nonce + sealed).rstrip(b"=").decode()
    assert SEALER.open(token) is None


def test_a_token_beyond_the_limit_is_not_even_decoded(monkeypatch: pytest.MonkeyPatch):
    """Genuine as it is, made where the limit was higher."""
    with monkeypatch.context() as higher:
        higher.setattr("meshd.vault.seal.MAX_TOKEN", 2 * MAX_TOKEN)
        long = dataclasses.replace(SESSION, upstream="x" * MAX_TOKEN)
        token = SEALER.seal(long)
        assert SEALER.open(token) == long
    assert SEALER.open(token) is None


def test_a_session_of_another_daemon_is_not_sealed():
    with pytest.raises(ValueError, match="dmn_b"):
        SEALER.seal(dataclasses.replace(SESSION, daemon="dmn_b"))


@pytest.mark.parametrize(
    "upstream", ["", "a b", "a\r\nSet-Cookie: x", "é", "\udce9", "\x7f", "a\n", "x" * MAX_TOKEN]
)
def test_an_upstream_id_against_the_specification_is_refused(upstream: str):
    """Typed, and the id is not in the error."""
    with pytest.raises(BadFormat, match="the upstream gave") as refusal:
        SEALER.seal(dataclasses.replace(SESSION, upstream=upstream))
    assert upstream not in str(refusal.value) or not upstream.strip()


def test_what_is_sealed_is_never_too_long_to_open():
    """Up to the longest upstream id that is taken."""
    for size in range(2800, MAX_TOKEN):
        session = dataclasses.replace(SESSION, upstream="x" * size)
        try:
            token = SEALER.seal(session)
        except BadFormat:
            break
        assert SEALER.open(token) == session
    assert size > 2800
    assert len(token) <= MAX_TOKEN < len(token) + 4


def test_the_upstream_id_is_not_printed():
    """It opens the upstream's session to whoever reads it in a log."""
    assert SESSION.upstream is not None
    assert SESSION.upstream not in repr(SESSION)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_the_key_has_32_bytes(size: int):
    with pytest.raises(ValueError, match=f"not {size}$"):
        Sealer(bytes(size), "dmn_a", Clock())


def test_a_library_without_the_cipher_is_named(monkeypatch: pytest.MonkeyPatch):
    """With what to do about it."""

    def missing(_: bytes) -> None:
        raise UnsupportedAlgorithm("AES-GCM-SIV is not supported by this version of OpenSSL")

    monkeypatch.setattr("meshd.vault.seal.AESGCMSIV", missing)
    with pytest.raises(VaultError, match="install the wheel"):
        sealer()

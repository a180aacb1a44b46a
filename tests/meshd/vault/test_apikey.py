"""API keys: one recognisable shape, a checksum before any lookup, a digest in the store."""

import hashlib
import re
import string
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshd.vault import apikey
from meshd.vault.apikey import KINDS, PATTERN, Parsed, digest, matches, mint, parse

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
KNOWN = "mshs_OI2ey2DXwGTCVBCkIwk1Fns2PiFx4FrzrnzRgmmE1fOBbB"


@pytest.mark.parametrize("kind", KINDS)
def test_a_minted_key_parses(kind: str):
    """And the shown parts are those of the key."""
    minted = mint(kind)
    text = minted.secret.reveal()
    assert parse(text) == Parsed(kind, minted.public_id)
    assert matches(text, minted.digest)
    assert text.endswith(minted.last_four)
    assert len(minted.last_four) == 4


def test_the_kinds_are_the_six_of_the_format():
    assert set(KINDS) == set("usarcw")


def test_a_key_is_a_service_key_unless_said_otherwise():
    assert mint().secret.reveal().startswith("mshs_")


def test_the_shape_is_the_documented_one():
    """51 characters: prefix, public id, 32 random ones, CRC-32 of all before it in base62."""
    minted = mint("u")
    text = minted.secret.reveal()
    assert len(text) == 51
    assert re.fullmatch(r"mshu_[0-9A-Za-z]{46}", text)
    assert text[5:13] == minted.public_id
    check = 0
    for digit in text[45:]:
        check = check * 62 + BASE62.index(digit)
    assert check == zlib.crc32(text[:45].encode())


def test_a_key_of_this_format_parses_for_ever():
    """Keys live for years in other people's configuration: this one was written down once."""
    assert parse(KNOWN) == Parsed("s", KNOWN[5:13])


def test_minted_keys_differ():
    """In the public id, in the random part, in what is stored."""
    minted = [mint() for _ in range(200)]
    assert len({one.public_id for one in minted}) == 200
    assert len({one.secret.reveal()[13:45] for one in minted}) == 200
    assert len({one.digest for one in minted}) == 200


@pytest.mark.parametrize("kind", ["", "x", "ss", "S", "["])
def test_an_unknown_kind_is_refused(kind: str):
    with pytest.raises(ValueError, match="no kind of key"):
        mint(kind)


def test_every_other_single_character_is_caught():
    """Each position, each character that could stand there: CRC-32 guarantees 8 wrong bits."""
    for at in range(len(KNOWN)):
        for wrong in BASE62 + "_-. ":
            if wrong != KNOWN[at]:
                assert parse(KNOWN[:at] + wrong + KNOWN[at + 1 :]) is None


@given(at=st.integers(0, 41), wrong=st.text(BASE62, min_size=4, max_size=4))
def test_four_wrong_characters_in_a_row_are_caught(at: int, wrong: str):
    """A burst of 32 bits in what the checksum covers, which is the most it guarantees."""
    changed = KNOWN[:at] + wrong + KNOWN[at + 4 :]
    assert (parse(changed) is None) == (changed != KNOWN)


def test_swapped_neighbours_are_caught():
    """The usual typing error, everywhere in the key."""
    for at in range(len(KNOWN) - 1):
        swapped = KNOWN[:at] + KNOWN[at + 1] + KNOWN[at] + KNOWN[at + 2 :]
        assert (parse(swapped) is None) == (swapped != KNOWN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mshs_",
        KNOWN[:-1],
        KNOWN + "0",
        KNOWN + "\n",
        " " + KNOWN,
        KNOWN.upper(),
        KNOWN.replace("mshs_", "mshs-"),
        KNOWN.replace("mshs_", "ｍshs_"),
        KNOWN[:-1] + "٣",
        KNOWN[:-1] + "\ud800",
        "m" * 100_000,
        "Bearer " + KNOWN,
    ],
)
def test_garbage_does_not_parse(text: str):
    assert parse(text) is None


@pytest.mark.parametrize(
    "body", [KNOWN, KNOWN[:44], "mshx" + KNOWN[4:45], "msh_" + KNOWN[4:45], KNOWN[:44] + "-"]
)
def test_a_right_checksum_does_not_excuse_a_wrong_shape(body: str):
    """Too long, too short, of no known kind, or with a character outside base62."""
    assert parse(body + apikey._checksum(body)) is None


@given(st.text())
def test_random_text_does_not_parse(text: str):
    assert parse(text) is None


@given(st.text(st.characters(exclude_categories=())))
@example("\ud800")
def test_the_digest_is_sha256_of_the_whole_text(text: str):
    """Also of text that UTF-8 cannot hold, where an encoder's error would show the text."""
    assert digest(text) == hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    assert matches(text, digest(text))


def test_another_key_does_not_match():
    stored = mint().digest
    assert not matches(KNOWN, stored)
    assert not matches(KNOWN, digest(KNOWN)[:-1])
    assert not matches(KNOWN, b"")


def test_matching_is_left_to_a_constant_time_function(monkeypatch: pytest.MonkeyPatch):
    """What `hmac.compare_digest` says is the answer."""
    monkeypatch.setattr("hmac.compare_digest", lambda one, other: other == b"yes")
    assert matches(KNOWN, b"yes")
    assert not matches(KNOWN, digest(KNOWN))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "around", ["{}", "Authorization: Bearer {}\r\n", '{{"key":"{}"}}', "x{}y", "{},{}"]
)
def test_the_pattern_masks_every_key_in_a_text(kind: str, around: str):
    """Wherever it stands, also glued to other letters: nothing of its random part is left."""
    text = mint(kind).secret.reveal()
    assert PATTERN.sub("***", around.format(text, text)) == around.format("***", "***")


@pytest.mark.parametrize("text", ["mshs_short", "mshx_" + "a" * 46, "meshctl key add ci-bot"])
def test_the_pattern_leaves_other_text_alone(text: str):
    assert PATTERN.search(text) is None


def test_a_minted_key_does_not_print_its_secret_or_digest():
    minted = mint()
    assert minted.secret.reveal()[13:45] not in repr(minted)
    assert "digest" not in repr(minted)
    assert "***" in repr(minted)

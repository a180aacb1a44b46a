"""A blob opens under its own key in its own place, byte for byte, and nowhere else."""

import dataclasses
import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.vault import box
from meshd.vault.box import BadFormat, Context, DataKey, Tampered, UnknownKey, VaultError
from meshd.vault.key import Key
from meshd.vault.master import MasterKey

HERE = Context("inst-1", "org_a", "credentials", "con_1", "token")
KEY = DataKey("org_a", 1, Key(bytes(range(32))))
KEYS = {KEY.id: KEY}
MASTER = MasterKey(Key(bytes(range(32, 64))))
PLAIN = b"upstream token"
BLOB = box.seal(KEY, HERE, PLAIN)
WRAPPED = box.wrap(MASTER, "inst-1", KEY)

Opener = Callable[[bytes], object]
both = pytest.mark.parametrize(
    ("blob", "opened"),
    [
        pytest.param(BLOB, lambda blob: box.open_(KEYS, HERE, blob), id="field"),
        pytest.param(
            WRAPPED, lambda blob: box.unwrap(MASTER, "inst-1", "org_a", 1, blob), id="data key"
        ),
    ],
)

names = st.text(max_size=20)
contexts = st.builds(Context, names, st.just("org_a"), names, names, names)


@given(plaintext=st.binary(max_size=300), context=contexts)
def test_what_is_sealed_opens(plaintext: bytes, context: Context):
    assert box.open_(KEYS, context, box.seal(KEY, context, plaintext)) == plaintext


def test_the_layout_is_the_documented_one():
    """Format, algorithm, key id, nonce, then ciphertext of one 32-byte step with its tag."""
    assert BLOB[:2] == b"\x01\x01"
    assert BLOB[2:10] == KEY.id
    assert len(BLOB) == 10 + 12 + 32 + 16


def test_a_blob_of_this_format_opens_for_ever():
    """A blob on disk is read by every later version: this one was written down once."""
    context = Context("inst", "org", "table", "row", "field")
    key = DataKey("org", 7, Key(b"k" * 32))
    written = bytes.fromhex(GOLDEN)
    assert box.open_({key.id: key}, context, written) == b"golden"


def test_a_wrapped_key_of_this_format_opens_for_ever():
    """The same promise for data keys under the master key."""
    written = bytes.fromhex(GOLDEN_WRAPPED)
    key = box.unwrap(MasterKey(Key(b"m" * 32)), "inst", "org", 7, written)
    assert key == DataKey("org", 7, Key(b"k" * 32))


GOLDEN = (
    "0101530a3dc8be82439a57edc7c29d03b008d65fc5bebe0e502f215113d8d5f705f8d80a5a88284c"
    "1d839f353b84230afddf5160ceb52698a5c87d0d3551831f4e35b38fb514"
)
GOLDEN_WRAPPED = (
    "0101fa03921595b92ce3832c7657a82087e5b9620843e378ec6a39d6fc7d4921fbfe03e11e361935"
    "da4bd9420b7cda9db2ea05b3f9db11c65739391c38bbce14a68f8dc93da5"
)


@both
def test_every_flipped_bit_is_refused(blob: bytes, opened: Opener):
    """Each single bit of header, nonce, ciphertext and tag, without exception."""
    for bit in range(len(blob) * 8):
        flipped = bytearray(blob)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises((BadFormat, UnknownKey, Tampered)):
            opened(bytes(flipped))


@both
def test_every_cut_at_either_end_and_every_extension_is_refused(blob: bytes, opened: Opener):
    for size in range(len(blob)):
        with pytest.raises((BadFormat, Tampered)):
            opened(blob[:size])
        with pytest.raises((BadFormat, UnknownKey, Tampered)):
            opened(blob[size + 1 :])
    with pytest.raises(Tampered):
        opened(blob + b"\0")


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_with_a_typed_error(blob: bytes):
    with pytest.raises(VaultError):
        box.open_(KEYS, HERE, blob)
    with pytest.raises(VaultError):
        box.unwrap(MASTER, "inst-1", "org_a", 1, blob)


@given(there=contexts)
def test_a_blob_moved_anywhere_else_is_refused(there: Context):
    """Any change of any part of the context, or none and it opens."""
    if there == HERE:
        assert box.open_(KEYS, there, BLOB) == PLAIN
    else:
        with pytest.raises(Tampered):
            box.open_(KEYS, there, BLOB)


@pytest.mark.parametrize("part", Context._fields)
@pytest.mark.parametrize("value", ["", "other", "x\0"])
def test_each_part_of_the_context_is_bound(part: str, value: str):
    with pytest.raises(Tampered):
        box.open_(KEYS, HERE._replace(**{part: value}), BLOB)


@pytest.mark.parametrize(
    "there",
    [
        HERE._replace(table="credentialscon_1", row=""),
        HERE._replace(table="", row="credentialscon_1"),
        HERE._replace(row="token", field="con_1"),
    ],
)
def test_the_parts_of_the_context_do_not_run_into_each_other(there: Context):
    """The same letters, cut or ordered differently, are another place."""
    with pytest.raises(Tampered):
        box.open_(KEYS, there, BLOB)


def test_the_version_of_the_data_key_is_bound():
    """The same key bytes filed under another version do not open the blob."""
    moved = DataKey("org_a", 2, KEY.key)
    with pytest.raises(Tampered):
        box.open_({moved.id: moved}, HERE, BLOB)


def test_the_key_is_picked_by_id_and_others_are_never_tried():
    """The right key under a wrong id is not found; the error names the id and nothing else."""
    other = box.new_data_key("org_a", 2)
    with pytest.raises(UnknownKey) as refusal:
        box.open_({other.id: KEY}, HERE, BLOB)
    assert refusal.value.key_id == KEY.id.hex()
    assert KEY.id.hex() in str(refusal.value)


def test_a_blob_under_a_wrong_key_with_the_right_id_is_refused():
    """An id that lies does not get past the tag."""
    other = box.new_data_key("org_a", 1)
    with pytest.raises(Tampered):
        box.open_({KEY.id: other}, HERE, BLOB)


def test_a_key_of_another_organisation_opens_nothing():
    """Even where all keys are in one mapping and the bytes are the same."""
    foreign = DataKey("org_b", 1, KEY.key)
    with pytest.raises(Tampered):
        box.open_({KEY.id: foreign}, HERE, BLOB)


def test_a_key_of_another_organisation_seals_nothing():
    with pytest.raises(ValueError, match="org_b"):
        box.seal(box.new_data_key("org_b", 1), HERE, PLAIN)


def test_sealing_twice_gives_two_blobs():
    """The nonce is new each time, so equal secrets do not look equal."""
    assert len({box.seal(KEY, HERE, PLAIN) for _ in range(200)}) == 200


@given(st.integers(0, 200), st.integers(0, 200))
def test_only_the_32_byte_step_of_a_size_shows(one: int, other: int):
    """With the 4 bytes of the length counted in."""
    sizes = [len(box.seal(KEY, HERE, bytes(size))) for size in (one, other)]
    assert (sizes[0] == sizes[1]) == ((one + 3) // 32 == (other + 3) // 32)


@pytest.mark.parametrize(
    "padded",
    [
        pytest.param(bytes(64), id="more zeros than the step needs"),
        pytest.param((1).to_bytes(4) + b"a" + bytes(26) + b"\1", id="a byte in the padding"),
        pytest.param((29).to_bytes(4) + bytes(28), id="longer than what follows"),
        pytest.param(b"\xff" * 32, id="a length beyond all bounds"),
        pytest.param((30).to_bytes(4) + bytes(30), id="no whole step"),
    ],
)
def test_a_wrong_padding_is_refused(padded: bytes):
    """Sealed with the right key in the right place, and still not a blob of this format."""
    blob = BLOB[:10] + KEY.key.lock(padded, box._field(HERE, KEY))
    with pytest.raises(BadFormat):
        box.open_(KEYS, HERE, blob)


def test_a_wrapped_data_key_comes_back():
    assert box.unwrap(MASTER, "inst-1", "org_a", 1, WRAPPED) == KEY


@pytest.mark.parametrize(
    ("installation", "org", "version"),
    [
        ("inst-2", "org_a", 1),
        ("inst-1", "org_b", 1),
        ("inst-1", "org_a", 2),
        ("inst-1org", "_a", 1),
    ],
)
def test_a_wrapped_data_key_is_bound_to_its_place(installation: str, org: str, version: int):
    with pytest.raises(Tampered):
        box.unwrap(MASTER, installation, org, version, WRAPPED)


def test_another_master_key_is_told_from_damage():
    """So that a daemon with the wrong master key can say so: the error names the right one."""
    with pytest.raises(UnknownKey) as refusal:
        box.unwrap(MasterKey(Key.random()), "inst-1", "org_a", 1, WRAPPED)
    assert refusal.value.key_id == MASTER.id.hex()


def test_a_wrapped_key_and_a_field_cannot_stand_for_each_other():
    """Not even where one key were used for both."""
    master_as_data = DataKey("org_a", 1, MASTER.wrapping_key())
    renamed = WRAPPED[:2] + master_as_data.id + WRAPPED[10:]
    with pytest.raises(Tampered):
        box.open_({master_as_data.id: master_as_data}, HERE, renamed)


def test_data_keys_are_random_and_their_ids_say_nothing_of_them():
    keys = [box.new_data_key("org_a", 1) for _ in range(50)]
    assert len({key.id for key in keys}) == 50
    assert all(len(key.id) == 8 and key.id not in key.key.reveal() for key in keys)


def test_no_key_and_no_plaintext_is_in_any_text():
    """Of keys, of what holds them, and of the errors."""
    raw = KEY.key.reveal()
    texts = [repr(KEY), str(KEY), f"{KEY.key}", repr(MASTER), repr(KEYS)]
    for blob in (BLOB[:-1] + b"\0", BLOB[:20], b"\0" + BLOB[1:], BLOB[:2] + bytes(8) + BLOB[10:]):
        with pytest.raises(VaultError) as refusal:
            box.open_(KEYS, HERE, blob)
        assert refusal.value.__cause__ is None
        texts.append(repr(refusal.value) + str(refusal.value))
    for text in texts:
        for secret in (raw, PLAIN):
            assert secret.hex() not in text
            assert repr(secret)[2:-1] not in text


@pytest.mark.parametrize("holder", [KEY, MASTER, KEY.key], ids=["data", "master", "bytes"])
def test_keys_cannot_be_pickled_or_listed(holder: object):
    with pytest.raises(TypeError):
        pickle.dumps(holder)
    if dataclasses.is_dataclass(holder) and not isinstance(holder, type):
        with pytest.raises(TypeError):
            dataclasses.asdict(holder)


@pytest.mark.parametrize("size", [0, 16, 24, 31, 33])
def test_a_key_has_32_bytes(size: int):
    """The refusal says the size only."""
    with pytest.raises(ValueError, match=f"not {size}$"):
        Key(bytes(size))

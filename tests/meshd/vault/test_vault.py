"""The vault of a running daemon: what one organisation seals, only it opens, key after key."""

import traceback
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshd.core.secret import Secret
from meshd.vault import box
from meshd.vault.errors import BadFormat, KeySpent, NoKey, Tampered, UnknownKey, VaultError
from meshd.vault.key import Key
from meshd.vault.master import MasterKey
from meshd.vault.vault import REFUSE_AT, Vault

MASTER = MasterKey(Key(b"m" * 32))
PLACE = ("credentials", "con_1", "token")
VALUE = "sk-live-0123456789"


def add(vault: Vault, org: str, sealed: int = 0) -> tuple[int, bytes]:
    """Make a key and load it as a service does after storing it."""
    version, wrapped, _ = vault.new_org_key(org)
    vault.add_key(wrapped, org, version, sealed)
    return version, wrapped


@pytest.fixture
def vault() -> Vault:
    """With a key for org_a and one for org_b."""
    vault = Vault(MASTER, "inst-1")
    add(vault, "org_a")
    add(vault, "org_b")
    return vault


@given(st.text(st.characters(exclude_categories=()), max_size=200))
@example("\ud800")
def test_a_secret_comes_back(value: str):
    """Any text at all, also one that UTF-8 cannot hold."""
    vault = Vault(MASTER, "inst-1")
    add(vault, "org_a")
    blob = vault.seal("org_a", *PLACE, Secret(value))
    assert vault.open("org_a", *PLACE, blob) == Secret(value)


def test_a_secret_survives_a_restart():
    """Another vault with the stored form of the key."""
    before, after = Vault(MASTER, "inst-1"), Vault(MASTER, "inst-1")
    version, wrapped = add(before, "org_a")
    blob = before.seal("org_a", *PLACE, Secret(VALUE))
    after.add_key(wrapped, "org_a", version)
    assert after.open("org_a", *PLACE, blob) == Secret(VALUE)


def test_the_stored_form_does_not_hold_the_secret(vault: Vault):
    assert VALUE.encode() not in vault.seal("org_a", *PLACE, Secret(VALUE))


@pytest.mark.parametrize(
    "place",
    [
        ("org_b", *PLACE),
        ("org_a", "other", "con_1", "token"),
        ("org_a", "credentials", "con_2", "token"),
        ("org_a", "credentials", "con_1", "refresh"),
    ],
)
def test_a_blob_in_another_place_does_not_open(vault: Vault, place: tuple[str, str, str, str]):
    """Another organisation, table, row or field."""
    blob = vault.seal("org_a", *PLACE, Secret(VALUE))
    with pytest.raises((Tampered, UnknownKey)):
        vault.open(*place, blob)


def test_a_blob_of_another_installation_does_not_open():
    """Though master key and data key are the same, as after copying rows between databases."""
    raw = box.new_data_key("org_a", 1)
    one, other = Vault(MASTER, "inst-1"), Vault(MASTER, "inst-2")
    one.add_key(box.wrap(MASTER, "inst-1", raw), "org_a", 1)
    other.add_key(box.wrap(MASTER, "inst-2", raw), "org_a", 1)
    with pytest.raises(Tampered):
        other.open("org_a", *PLACE, one.seal("org_a", *PLACE, Secret(VALUE)))


def test_one_broken_blob_costs_only_itself(vault: Vault):
    blob = vault.seal("org_a", *PLACE, Secret(VALUE))
    with pytest.raises(Tampered):
        vault.open("org_a", *PLACE, blob[:-1] + bytes([blob[-1] ^ 1]))
    assert vault.open("org_a", *PLACE, blob) == Secret(VALUE)


def test_after_a_rotation_the_newest_key_seals_and_the_old_one_opens(vault: Vault):
    old = vault.seal("org_a", *PLACE, Secret("old"))
    assert add(vault, "org_a")[0] == 2
    new = vault.seal("org_a", *PLACE, Secret("new"))
    assert new[2:10] != old[2:10]
    assert vault.open("org_a", *PLACE, old) == Secret("old")
    assert vault.open("org_a", *PLACE, new) == Secret("new")


def test_keys_load_in_any_order(vault: Vault):
    """The highest version seals, whichever came last."""
    first, second = box.new_data_key("org_c", 1), box.new_data_key("org_c", 2)
    for key in (second, first):
        vault.add_key(box.wrap(MASTER, "inst-1", key), "org_c", key.version)
    assert vault.seal("org_c", *PLACE, Secret(VALUE))[2:10] == second.id
    assert vault.new_org_key("org_c")[0] == 3


def test_a_new_key_seals_nothing_before_it_is_loaded(vault: Vault):
    """What is sealed under a key that was never stored would be lost at the next start."""
    version, wrapped, key_id = vault.new_org_key("org_a")
    assert vault.seal("org_a", *PLACE, Secret(VALUE))[2:10] != key_id
    vault.add_key(wrapped, "org_a", version)
    assert vault.seal("org_a", *PLACE, Secret(VALUE))[2:10] == key_id


def test_an_organisation_without_a_key_is_told_apart():
    vault = Vault(MASTER, "inst-1")
    assert vault.new_org_key("org_a")[0] == 1
    with pytest.raises(NoKey, match="org_a"):
        vault.seal("org_a", *PLACE, Secret(VALUE))
    with pytest.raises(NoKey, match="org_a"):
        vault.open("org_a", *PLACE, b"")
    with pytest.raises(NoKey, match="org_a"):
        vault.version("org_a")


def test_a_key_that_is_not_loaded_yet_is_named(vault: Vault):
    """So that a daemon can fetch the version that another one has just added."""
    version, wrapped, key_id = vault.new_org_key("org_a")
    other = Vault(MASTER, "inst-1")
    other.add_key(wrapped, "org_a", version)
    blob = other.seal("org_a", *PLACE, Secret(VALUE))
    with pytest.raises(UnknownKey) as refusal:
        vault.open("org_a", *PLACE, blob)
    assert refusal.value.key_id == key_id.hex()
    vault.add_key(wrapped, "org_a", version)
    assert vault.open("org_a", *PLACE, blob) == Secret(VALUE)


@pytest.mark.parametrize(("org", "version"), [("org_b", 1), ("org_a", 2)])
def test_a_wrapped_key_in_another_row_is_refused(org: str, version: int):
    """And leaves no trace: the organisation still has no key."""
    vault = Vault(MASTER, "inst-1")
    _, wrapped, _ = vault.new_org_key("org_a")
    with pytest.raises(Tampered):
        vault.add_key(wrapped, org, version)
    with pytest.raises(NoKey):
        vault.version(org)


def test_a_key_under_another_master_key_is_refused(vault: Vault):
    """The error names the master key that is needed."""
    _, wrapped, _ = vault.new_org_key("org_a")
    other = Vault(MasterKey(Key.random()), "inst-1")
    with pytest.raises(UnknownKey) as refusal:
        other.add_key(wrapped, "org_a", 1)
    assert refusal.value.key_id == vault.master_id.hex()
    assert other.master_id != vault.master_id


def test_two_keys_of_one_version_are_refused(vault: Vault):
    """The one that was there first stays the one in use."""
    before = vault.seal("org_a", *PLACE, Secret(VALUE))
    second = box.wrap(MASTER, "inst-1", box.new_data_key("org_a", 1))
    with pytest.raises(Tampered, match="version 1"):
        vault.add_key(second, "org_a", 1)
    assert vault.seal("org_a", *PLACE, Secret(VALUE))[2:10] == before[2:10]


def test_a_forgotten_organisation_opens_nothing(vault: Vault):
    """The others go on."""
    blob = vault.seal("org_a", *PLACE, Secret(VALUE))
    vault.forget("org_a")
    with pytest.raises(NoKey):
        vault.open("org_a", *PLACE, blob)
    vault.forget("org_a")
    vault.seal("org_b", *PLACE, Secret(VALUE))


def test_seals_are_counted_for_each_key():
    """Opening does not count; another organisation has its own number; a new key starts at 0."""
    vault = Vault(MASTER, "inst-1")
    add(vault, "org_a", sealed=REFUSE_AT - 2)
    add(vault, "org_b", sealed=REFUSE_AT - 1)
    for _ in range(2):
        vault.open("org_a", *PLACE, vault.seal("org_a", *PLACE, Secret(VALUE)))
    with pytest.raises(KeySpent):
        vault.seal("org_a", *PLACE, Secret(VALUE))
    vault.seal("org_b", *PLACE, Secret(VALUE))
    add(vault, "org_a")
    vault.seal("org_a", *PLACE, Secret(VALUE))


@pytest.mark.parametrize("recorded", [0, REFUSE_AT - 1])
def test_loading_a_key_again_never_lowers_its_count(recorded: int):
    vault = Vault(MASTER, "inst-1")
    version, wrapped = add(vault, "org_c", sealed=REFUSE_AT - 1)
    vault.seal("org_c", *PLACE, Secret(VALUE))
    vault.add_key(wrapped, "org_c", version, recorded)
    with pytest.raises(KeySpent):
        vault.seal("org_c", *PLACE, Secret(VALUE))


def test_a_higher_count_on_record_holds():
    """Another daemon seals under the same key."""
    vault = Vault(MASTER, "inst-1")
    version, wrapped = add(vault, "org_c")
    vault.add_key(wrapped, "org_c", version, REFUSE_AT)
    with pytest.raises(KeySpent):
        vault.seal("org_c", *PLACE, Secret(VALUE))


def test_a_spent_key_seals_no_more_and_still_opens():
    """Beyond NIST's bound a repeated nonce is no longer improbable enough."""
    vault = Vault(MASTER, "inst-1")
    add(vault, "org_a", sealed=REFUSE_AT - 1)
    blob = vault.seal("org_a", *PLACE, Secret(VALUE))
    with pytest.raises(KeySpent, match="rotate"):
        vault.seal("org_a", *PLACE, Secret(VALUE))
    assert vault.open("org_a", *PLACE, blob) == Secret(VALUE)
    add(vault, "org_a")
    vault.seal("org_a", *PLACE, Secret(VALUE))


def test_derived_keys_come_from_the_master_key(vault: Vault):
    assert vault.derive("session") == MASTER.derive("session")
    assert vault.derive("session") != vault.derive("cookie")


def test_a_plaintext_that_is_no_text_is_refused_without_showing_it(vault: Vault):
    """The decoder's error holds the plaintext, so it may not hang on ours."""
    _, wrapped = add(vault, "org_c")
    key = box.unwrap(MASTER, "inst-1", "org_c", 1, wrapped)
    blob = box.seal(key, box.Context("inst-1", "org_c", *PLACE), b"secret\xff")
    with pytest.raises(BadFormat) as refusal:
        vault.open("org_c", *PLACE, blob)
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None


BREAK: dict[str, Callable[[bytes], bytes]] = {
    "short": lambda blob: blob[:30],
    "flipped": lambda blob: blob[:-1] + bytes([blob[-1] ^ 1]),
    "unknown key": lambda blob: blob[:2] + bytes(8) + blob[10:],
    "unknown format": lambda blob: b"\2" + blob[1:],
}


@pytest.mark.parametrize("damage", BREAK.values(), ids=BREAK)
def test_no_error_and_no_traceback_holds_a_secret(vault: Vault, damage: Callable[[bytes], bytes]):
    """As crash reporters write it, with the local variables of every frame."""
    hidden = [VALUE, MASTER.key.reveal().decode()]
    blob = damage(vault.seal("org_a", *PLACE, Secret(VALUE)))
    with pytest.raises(VaultError) as refusal:
        vault.open("org_a", *PLACE, blob)
    report = traceback.TracebackException.from_exception(refusal.value, capture_locals=True)
    frames = [line for line in report.format() if "test_vault.py" not in line]
    assert any("vault.py" in line for line in frames)
    assert str(refusal.value).endswith(".")
    assert not any(secret in line for secret in hidden for line in frames)

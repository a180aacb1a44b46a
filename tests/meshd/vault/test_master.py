"""The master key: one file, made once, closed to everybody else, and refused when it is not."""

import base64
import concurrent.futures
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.vault.key import Key
from meshd.vault.master import MasterKey, MasterKeyError, decode, encode, load_or_create


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the key goes; neither the file nor its directory is there yet."""
    return tmp_path / "home" / "keys" / "master.key"


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A umask that takes nothing away."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_the_key_that_was_made_is_the_key_that_is_loaded(path: Path):
    made = load_or_create(path)
    assert load_or_create(path) == made
    assert made.id == load_or_create(path).id


def test_two_installations_have_two_keys(tmp_path: Path):
    one, other = (load_or_create(tmp_path / name / "master.key") for name in "ab")
    assert one.id != other.id


def test_the_file_is_one_line_of_text(path: Path):
    """With a prefix that says what it is, to a person and to a secret scanner."""
    key = load_or_create(path)
    prefix, _, coded = path.read_text().partition(":")
    assert prefix == "meshctl-master-key-1"
    assert coded.endswith("\n")
    assert base64.b64decode(coded) == key.key.reveal()


@pytest.mark.usefixtures("open_umask")
def test_file_and_directories_are_closed_to_others_under_umask_0(path: Path):
    """Also the directory above, when it had to be made."""
    load_or_create(path)
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    assert mode(path.parent.parent) == 0o700


def test_nothing_else_is_left_in_the_directory(path: Path):
    load_or_create(path)
    assert [entry.name for entry in path.parent.iterdir()] == ["master.key"]


def test_file_and_directories_are_on_disk_when_the_key_is_given_out(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The file, its directory, and each directory that got a new entry on the way."""
    synced = set()
    fsync = os.fsync

    def record(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", record)
    load_or_create(path)
    places = [path, path.parent, path.parent.parent, path.parent.parent.parent]
    assert {place.stat().st_ino for place in places} == synced


def test_loading_writes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch):
    """The file stays the same file with the same times."""
    load_or_create(path)
    before = path.stat()
    monkeypatch.setattr("os.fsync", lambda _: pytest.fail("something was written"))
    load_or_create(path)
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_many_that_start_at_once_agree_on_one_key(path: Path):
    """Whoever comes second takes the first one's key; nobody reads a half-written file."""
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        keys = list(pool.map(lambda _: load_or_create(path), range(64)))
    assert len({key.id for key in keys}) == 1
    assert [entry.name for entry in path.parent.iterdir()] == ["master.key"]


def test_a_key_that_appears_while_ours_is_made_is_kept(path: Path, monkeypatch: pytest.MonkeyPatch):
    """The moment between looking and placing: the other's file is not replaced."""
    theirs = MasterKey(Key.random())
    link = os.link

    def late(*args: object, **options: object) -> None:
        path.write_bytes(encode(theirs))
        path.chmod(0o600)
        link(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("os.link", late)
    assert load_or_create(path) == theirs
    assert path.read_bytes() == encode(theirs)


def test_a_full_disk_leaves_no_file_behind(path: Path, monkeypatch: pytest.MonkeyPatch):
    """A write that fails gives an error with the reason, and the next start makes a key."""

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("os.fsync", fail)
        path.parent.mkdir(parents=True, mode=0o700)
        with pytest.raises(MasterKeyError, match="No space left on device"):
            load_or_create(path)
    assert list(path.parent.iterdir()) == []
    assert load_or_create(path) == load_or_create(path)


def test_a_kill_while_the_key_is_made_does_not_block_the_next_start(path: Path):
    """The process dies with the bytes written but not in place."""
    script = (
        "import os, sys, pathlib; from meshd.vault.master import load_or_create;"
        "os.link = lambda *a, **k: os._exit(9);"
        "load_or_create(pathlib.Path(sys.argv[1]))"
    )
    same = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    died = subprocess.run([sys.executable, "-c", script, path], env=same, timeout=30)
    assert died.returncode == 9
    assert not path.exists()
    assert load_or_create(path) == load_or_create(path)


def _is_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _is_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def _is_directory(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o700)


def _is_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _directory_is_link(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))
    path.parent.symlink_to("elsewhere")


def _directory_is_file(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.touch(0o600)


@pytest.mark.parametrize(
    ("spoil", "advice"),
    [
        (_is_link, "symbolic link: put the key file itself"),
        (_is_dangling_link, "symbolic link: put the key file itself"),
        (_is_directory, "not a regular file: put the key file"),
        (_is_pipe, "not a regular file: put the key file"),
        (_directory_is_link, "put a real directory"),
        (_directory_is_file, "put a real directory"),
    ],
)
def test_what_is_not_a_plain_file_in_a_plain_directory_is_refused(
    path: Path, spoil: Callable[[Path], None], advice: str
):
    """And what stands there is left as it is."""
    load_or_create(path)
    spoil(path)
    before = sorted(path.parent.parent.rglob("*"))
    with pytest.raises(MasterKeyError, match=advice):
        load_or_create(path)
    assert sorted(path.parent.parent.rglob("*")) == before


def test_a_socket_in_its_place_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Opening it fails in the system; the error is typed all the same."""
    (tmp_path / "keys").mkdir(mode=0o700)
    monkeypatch.chdir(tmp_path / "keys")  # socket paths are short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("master.key")
        with pytest.raises(MasterKeyError, match="cannot be read"):
            load_or_create(tmp_path / "keys" / "master.key")


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666])
def test_a_file_that_others_may_touch_is_refused(path: Path, bits: int):
    """Any one bit of group or others; the error gives the command that closes it."""
    load_or_create(path)
    path.chmod(bits)
    with pytest.raises(MasterKeyError, match=f"mode {bits:o}.*chmod 600 {re.escape(str(path))}"):
        load_or_create(path)


@pytest.mark.parametrize("bits", [0o750, 0o705, 0o711, 0o777])
@pytest.mark.parametrize("with_file", [True, False])
def test_a_directory_that_others_may_enter_is_refused(path: Path, bits: int, with_file: bool):
    """Before a key is read from it or put into it."""
    load_or_create(path)
    if not with_file:
        path.unlink()
    path.parent.chmod(bits)
    with pytest.raises(
        MasterKeyError, match=f"mode {bits:o}.*chmod 700 {re.escape(str(path.parent))}"
    ):
        load_or_create(path)
    assert path.exists() is with_file


@pytest.mark.parametrize("of_kind", [stat.S_ISREG, stat.S_ISDIR], ids=["file", "directory"])
def test_what_another_user_owns_is_refused(
    path: Path, of_kind: Callable[[int], bool], monkeypatch: pytest.MonkeyPatch
):
    """Whoever owns it can change it at any time, whatever its mode."""
    load_or_create(path)
    fstat = os.fstat

    def of_another(descriptor: int) -> os.stat_result:
        found = fstat(descriptor)
        owner = found.st_uid + 1 if of_kind(found.st_mode) else found.st_uid
        return os.stat_result((*found[:4], owner, *found[5:10]))

    monkeypatch.setattr("os.fstat", of_another)
    with pytest.raises(MasterKeyError, match=f"belongs to uid {os.geteuid() + 1}"):
        load_or_create(path)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"meshctl-master-key-1:",
        b"meshctl-master-key-1:" + base64.b64encode(bytes(31)) + b"\n",
        b"meshctl-master-key-1:" + base64.b64encode(bytes(33)) + b"\n",
        b"meshctl-master-key-2:" + base64.b64encode(bytes(32)) + b"\n",
        base64.b64encode(bytes(32)),
        bytes(32),
        b" meshctl-master-key-1:" + base64.b64encode(bytes(32)),
        b"meshctl-master-key-1:" + base64.b64encode(bytes(32)) + b"\n\n",
        b"meshctl-master-key-1:" + base64.urlsafe_b64encode(b"\xff" * 32),
        b"x" * 10_000,
    ],
)
def test_a_file_without_a_key_is_refused_and_never_overwritten(path: Path, text: bytes):
    """It may be the only copy of something; the error shows nothing of it."""
    load_or_create(path)
    path.write_bytes(text)
    with pytest.raises(MasterKeyError, match="holds no master key: restore") as refusal:
        load_or_create(path)
    assert path.read_bytes() == text
    assert refusal.value.__context__ is None


def test_a_lost_newline_does_no_harm(path: Path):
    """Editors and shells take it away."""
    key = load_or_create(path)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert load_or_create(path) == key


@given(st.binary(min_size=32, max_size=32))
def test_the_text_form_reads_back(raw: bytes):
    key = MasterKey(Key(raw))
    assert decode(encode(key)) == key


def test_derived_keys_differ_by_purpose_and_by_master():
    """And are none of the keys that data keys are wrapped with, nor the master itself."""
    one, other = MasterKey(Key(b"1" * 32)), MasterKey(Key(b"2" * 32))
    derived = [
        key.derive(purpose) for key in (one, other) for purpose in ("", "a", "b", "wrapping")
    ]
    derived += [key.wrapping_key().reveal() for key in (one, other)]
    derived += [key.key.reveal() for key in (one, other)]
    assert len(set(derived)) == len(derived)
    assert {len(raw) for raw in derived} == {32}


def test_a_derived_key_stays_the_same_for_ever():
    """Tokens sealed under it outlive an update: HKDF-SHA256 without salt, as written down once."""
    assert MasterKey(Key(b"m" * 32)).derive("session").hex() == GOLDEN


GOLDEN = "d80550c21cc8ebadc57faae2916fd753b087e13f0ae50745d4dc15d2e675daa0"


def test_the_key_is_not_in_its_text():
    key = MasterKey(Key(b"m" * 32))
    assert "mmm" not in f"{key} {key!r} {[key]}"
    assert f"{key.key}" == "***"

"""Files that changed while nobody had them open: found by their seal, or by their log."""

import os
import random
import shutil
import sqlite3
import struct
import tracemalloc

import pytest

from meshd.store import intact
from meshd.store.db import StoreDamaged

FRAME = 24 + 4096


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "mesh.db"
    made.write_bytes(b"content")
    return made


@pytest.fixture
def killed(tmp_path):
    """A database whose log holds several transactions, as a killed process leaves it."""
    running = tmp_path / "running.db"
    link = sqlite3.connect(running, isolation_level=None)
    link.execute("PRAGMA journal_mode=WAL").fetchall()
    link.execute("CREATE TABLE things (text)")
    for number in range(6):
        link.execute("INSERT INTO things VALUES (?)", [f"{number}" * 9000])
    made = tmp_path / "mesh.db"
    for ending in ("", "-wal"):
        shutil.copy(f"{running}{ending}", f"{made}{ending}")
    shutil.copy(f"{running}-shm", tmp_path / "index")
    link.close()
    return made


def flip(path, at, bit=0):
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))


def wal_of(path):
    return path.with_name("mesh.db-wal")


def commits(path):
    """The numbers of the frames that end a transaction."""
    raw = wal_of(path).read_bytes()
    count = (len(raw) - 32) // FRAME
    sizes = (struct.unpack_from(">I", raw, 32 + at * FRAME + 4)[0] for at in range(count))
    return [at for at, size in enumerate(sizes) if size]


def test_a_sealed_file_is_known_again_until_it_is_written_to(path):
    intact.seal_closed(path)
    assert intact.seal_of(path).stat().st_mode & 0o777 == 0o600
    assert intact.check(path, log=True)
    intact.forget(path)
    assert not intact.check(path, log=True)
    intact.forget(path)


def test_no_file_and_no_seal_are_fine(path):
    assert not intact.check(path, log=True)
    assert not intact.check(path.with_name("absent.db"), log=True)


@pytest.mark.parametrize("at", range(7))
def test_any_flipped_bit_is_found_and_stays_found(path, at):
    intact.seal_closed(path)
    flip(path, at, at)
    for _ in range(2):
        with pytest.raises(StoreDamaged, match="changed while no daemon ran"):
            intact.check(path, log=True)


def test_what_another_program_wrote_is_told_and_no_damage(path, caplog):
    """More than a bit differs; SQLite's own check is what is left then."""
    intact.seal_closed(path)
    path.write_bytes(path.read_bytes()[::-1])
    assert not intact.check(path, log=True)
    assert "written to by another program" in caplog.text


def test_one_flipped_bit_among_many_blocks_is_found(tmp_path):
    path = tmp_path / "mesh.db"
    path.write_bytes(random.Random(1).randbytes(intact.BLOCK * 9))
    intact.seal_closed(path)
    flip(path, intact.BLOCK * 7 + 123, 5)
    with pytest.raises(StoreDamaged):
        intact.check(path, log=True)


def test_another_file_in_its_place_needs_no_seal(path):
    """Which is how a backup is put back."""
    intact.seal_closed(path)
    other = path.with_name("restored.db")
    other.write_bytes(b"other content")
    other.replace(path)
    assert not intact.check(path, log=True)


def test_a_file_in_use_counts_as_long_as_its_log_is_there(path):
    """Whoever else closed it moved the log into it, as SQLite does, and removed the log."""
    wal_of(path).touch()
    with path.open("rb") as file:
        intact.seal_in_use(path, file)
    assert intact.check(path, log=True)
    flip(path, 3)
    with pytest.raises(StoreDamaged):
        intact.check(path, log=True)
    wal_of(path).unlink()
    assert not intact.check(path, log=True)


def test_a_large_file_gets_no_seal(path, monkeypatch):
    monkeypatch.setattr(intact, "SEALED_UP_TO", 6)
    intact.seal_closed(path)
    assert not intact.seal_of(path).exists()


def test_a_file_with_a_log_gets_no_seal(path):
    path.with_name("mesh.db-wal").write_bytes(b"frames")
    intact.seal_closed(path)
    assert not intact.seal_of(path).exists()


def test_an_unreadable_seal_is_none(path):
    intact.seal_of(path).write_bytes(b"\xff\xfe")
    assert not intact.check(path, log=True)


def test_a_whole_log_passes(killed):
    assert len(commits(killed)) == 7
    assert not intact.check(killed, log=True)


@pytest.mark.parametrize("place", [0, 5, 8, 12, 16, 20, 24, 24 + 4000], ids=lambda at: f"at {at}")
@pytest.mark.parametrize("whose", range(6))
def test_damage_before_the_last_transaction_is_found(killed, whose, place):
    """In every field of a frame; SQLite would leave out all that follows, and say nothing."""
    flip(wal_of(killed), 32 + commits(killed)[whose] * FRAME + place)
    with pytest.raises(StoreDamaged, match="a transaction in the write-ahead log is damaged"):
        intact.check(killed, log=True)
    with sqlite3.connect(killed) as link:
        assert link.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        tables = link.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        assert not tables or link.execute("SELECT count(*) FROM things").fetchone()[0] < 6
    link.close()


def test_a_large_log_is_not_read_into_memory_whole(killed):
    """A log that no checkpoint emptied may have any size; here it is followed by another round's."""
    with wal_of(killed).open("ab") as log:
        log.write(bytes(64 * FRAME * 32))
    tracemalloc.start()
    try:
        intact.check(killed, log=True)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < wal_of(killed).stat().st_size / 4


@pytest.mark.parametrize("at", range(0, 32, 3))
def test_a_damaged_head_is_found(killed, at):
    flip(wal_of(killed), at)
    with pytest.raises(StoreDamaged, match="head"):
        intact.check(killed, log=True)


@pytest.mark.parametrize("cut", [1, 4096, 4100, FRAME, FRAME * 2 + 7])
def test_an_end_that_a_power_cut_took_is_no_damage(killed, cut):
    os.truncate(wal_of(killed), wal_of(killed).stat().st_size - cut)
    assert not intact.check(killed, log=True)


def test_a_torn_last_transaction_is_no_damage(killed):
    """Its pages reach the disk in any order before its sync, and nothing was promised."""
    last, before = commits(killed)[-1], commits(killed)[-2]
    assert last - before > 1, "it has several pages"
    flip(wal_of(killed), 32 + (before + 1) * FRAME + 100)
    assert not intact.check(killed, log=True)


def test_frames_of_an_earlier_round_are_not_read(killed):
    """A log that began anew keeps the old frames behind the new ones."""
    raw = bytearray(wal_of(killed).read_bytes())
    for at in range(32 + (commits(killed)[3] + 1) * FRAME, len(raw), FRAME):
        raw[at + 8 : at + 16] = b"\x00" * 8
    wal_of(killed).write_bytes(raw)
    assert not intact.check(killed, log=True)


def test_where_transactions_are_not_synced_the_log_proves_nothing(killed):
    flip(wal_of(killed), 32 + 24 + 100)
    assert not intact.check(killed, log=False)


def test_what_the_index_knows_must_be_in_the_log(killed):
    """Also the last transaction, of which the log itself proves nothing."""
    shutil.copy(killed.with_name("index"), killed.with_name("mesh.db-shm"))
    assert not intact.check(killed, log=True)
    flip(wal_of(killed), 32 + commits(killed)[-1] * FRAME + 100)
    with pytest.raises(StoreDamaged):
        intact.check(killed, log=True)
    os.truncate(wal_of(killed), 32 + commits(killed)[-1] * FRAME)
    with pytest.raises(StoreDamaged):
        intact.check(killed, log=True)


@pytest.mark.parametrize("at", [16, 24, 32, 40, 60])
def test_a_damaged_index_proves_nothing(killed, at):
    shutil.copy(killed.with_name("index"), killed.with_name("mesh.db-shm"))
    flip(killed.with_name("mesh.db-shm"), at)
    os.truncate(wal_of(killed), wal_of(killed).stat().st_size - FRAME)
    assert not intact.check(killed, log=True)

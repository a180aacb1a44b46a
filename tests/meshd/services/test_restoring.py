"""A backup in place of the data: checked wholly first, what was there kept, nothing touched else."""

import hashlib
import os
import random
import subprocess
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from meshd.core.clock import SystemClock
from meshd.core.config import Config
from meshd.services import backups
from meshd.services.restoring import restore
from meshd.store import whole
from meshd.store.archive import NAMES
from meshd.store.opening import open_databases
from meshd.store.reading import counts
from meshd.store.sqlite import connect_writer
from meshd.store.tally import tally
from meshd.vault.master import load_or_create
from meshd.wire.db import BackedUp, BackupAsked
from meshd.wire.errors import (
    BadRequest,
    Conflict,
    MeshError,
    NotFound,
    Unavailable,
    Unconfirmed,
)
from tests.support.filled import KEY_ID, config, fill

CLOCK = SystemClock()


async def back_up(one: Config, path: Path, *, replace: bool = False) -> BackedUp:
    return await backups.make(one, BackupAsked(file=str(path), replace=replace), CLOCK)


def files(folder: Path) -> dict[str, str]:
    """The digest of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in {".db-shm", ".db-wal"}
    }


async def sums(one: Config) -> dict[str, tuple[int, str]]:
    async with whole.read(one) as reading:
        return {name: (o.rows, o.checksum) for name, o in (await tally(reading)).items()}


@pytest.fixture
async def filled(tmp_path: Path) -> Config:
    return await fill(tmp_path / "home", 100)


@pytest.fixture
async def backup(filled: Config, tmp_path: Path) -> Path:
    await back_up(filled, tmp_path / "a.backup")
    return tmp_path / "a.backup"


async def test_a_backup_tells_what_it_holds_and_is_for_its_owner(
    filled: Config, tmp_path: Path
) -> None:
    """The key that a restore needs is named; ordinary tools can check it and look into it."""
    old = os.umask(0)
    try:
        done = await back_up(filled, tmp_path / "b")
    finally:
        os.umask(old)
    assert done.sealed_with == [KEY_ID]
    assert {one.table: one.rows for one in done.tables}["calls"] == 100
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "b").stat().st_size == done.bytes
    with tarfile.open(tmp_path / "b") as archive:
        assert archive.getnames() == list(NAMES)
        archive.extractall(tmp_path / "out", filter="data")
    checked = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "out", capture_output=True
    )
    assert checked.returncode == 0, checked.stdout
    with closing(connect_writer(tmp_path / "out" / "main.db", durable=True)) as main:
        assert main.execute("SELECT count(*) AS n FROM keys").fetchone() == {"n": 500}


async def test_a_file_that_is_there_is_replaced_only_by_agreement(
    filled: Config, backup: Path
) -> None:
    before = backup.read_bytes()
    with pytest.raises(Unconfirmed) as refused:
        await back_up(filled, backup)
    assert refused.value.next == f"meshctl db backup {backup} --yes"
    assert backup.read_bytes() == before
    await back_up(filled, backup, replace=True)
    assert backup.read_bytes() != before
    assert {path.name for path in backup.parent.iterdir()} == {"home", "a.backup"}


@pytest.mark.parametrize("name", ["missing/b", "home/data/mesh.db/b", "home", "\0", "/dev/null"])
async def test_a_place_that_takes_no_file_is_told(
    filled: Config, tmp_path: Path, name: str
) -> None:
    with pytest.raises(BadRequest):
        await back_up(filled, tmp_path / name)


async def test_into_an_empty_home_nothing_is_asked(
    filled: Config, backup: Path, tmp_path: Path
) -> None:
    fresh = config(tmp_path / "fresh")
    done = await restore(fresh, backup, CLOCK, agreed=False)
    assert (done.kept, done.pending, done.key_here) == (None, [], None)
    assert done.warning is not None
    assert f"{KEY_ID}; put that at {fresh.master_key}" in done.warning
    assert await sums(fresh) == await sums(filled)
    assert all(path.stat().st_mode & 0o077 == 0 for path in fresh.home.rglob("*"))
    async with open_databases(fresh) as databases:
        assert await databases.pending() == []


async def test_what_was_there_is_kept(filled: Config, backup: Path) -> None:
    """With a log that no daemon wrote back, and with the seal of a file."""
    async with open_databases(filled) as databases:
        await databases.main.write(whole_step("a", "later"))
    (filled.data / "mesh.db.seal").write_text("of the old file")
    before = await sums(filled)
    with pytest.raises(Unconfirmed) as asked:
        await restore(filled, backup, CLOCK, agreed=False)
    assert "kept aside" in asked.value.facts["replaces"]
    assert await sums(filled) == before
    done = await restore(filled, backup, CLOCK, agreed=True)
    assert done.kept is not None
    after = await sums(filled)
    assert after != before
    assert not (filled.data / "mesh.db.seal").exists()
    kept = Path(done.kept)
    assert kept.stat().st_mode & 0o777 == 0o700
    old = config(filled.home, f"file:{kept}/mesh.db")
    assert await sums(old) == before
    await restore(filled, await _packed(old, filled.home / "again"), CLOCK, agreed=True)
    assert await sums(filled) == before


def whole_step(name: str, value: str):
    from meshd.store.db import Step

    return Step("meta.put", {"name": name, "value": value})


async def _packed(one: Config, path: Path) -> Path:
    await back_up(one, path)
    return path


async def test_data_that_cannot_be_read_can_be_replaced(filled: Config, backup: Path) -> None:
    """That is when a backup is needed most."""
    expected = await sums(filled)
    harmed = bytearray((filled.data / "mesh.db").read_bytes())
    harmed[:100] = b"\xff" * 100
    (filled.data / "mesh.db").write_bytes(harmed)
    with pytest.raises(Unconfirmed) as asked:
        await restore(filled, backup, CLOCK, agreed=False)
    assert "cannot be read" in asked.value.facts["replaces"]
    done = await restore(filled, backup, CLOCK, agreed=True)
    assert await sums(filled) == expected
    assert (Path(done.kept or "") / "mesh.db").read_bytes() == bytes(harmed)


def _flip(data: bytearray) -> None:
    at = random.randrange(len(data))
    data[at] ^= 1 << random.randrange(8)


HARMS: dict[str, Callable[[bytearray], object]] = {
    "cut in half": lambda data: data.__delitem__(slice(len(data) // 2, None)),
    "cut by a block": lambda data: data.__delitem__(slice(-11_000, None)),
    "empty": lambda data: data.clear(),
    "no tar": lambda data: data.__setitem__(slice(0, 600), b"x" * 600),
    "another table": lambda data: data.__setitem__(slice(300_000, 300_001), b"~"),
    "later format": lambda data: data.__setitem__(
        slice(0, None), data.replace(b'"version": 1', b'"version": 2')
    ),
}


@pytest.mark.parametrize("harm", HARMS)
async def test_a_damaged_backup_is_refused_and_nothing_is_touched(
    filled: Config, backup: Path, harm: str
) -> None:
    before = files(filled.home)
    data = bytearray(backup.read_bytes())
    HARMS[harm](data)
    backup.write_bytes(data)
    with pytest.raises(BadRequest, match="nothing was changed"):
        await restore(filled, backup, CLOCK, agreed=True)
    assert files(filled.home) == before


async def test_a_flipped_bit_is_refused_or_changes_nothing(
    filled: Config, backup: Path, tmp_path: Path
) -> None:
    """In any place: a checksum covers every byte of content, a tar's own its heads."""
    random.seed(4)
    expected, whole_file = await sums(filled), backup.read_bytes()
    refused = 0
    for number in range(40):
        data = bytearray(whole_file)
        _flip(data)
        backup.write_bytes(data)
        fresh = config(tmp_path / f"fresh-{number}")
        try:
            await restore(fresh, backup, CLOCK, agreed=True)
        except BadRequest:
            refused += 1
            assert not any(fresh.data.iterdir())
        else:
            assert await sums(fresh) == expected
    assert refused >= 30


async def test_a_key_that_does_not_fit_is_asked_about(
    filled: Config, backup: Path, tmp_path: Path
) -> None:
    """The vault here has a key, and the backup needs another one."""
    fresh = config(tmp_path / "fresh")
    fresh.home.mkdir(mode=0o700)
    here = load_or_create(fresh.master_key).id.hex()
    with pytest.raises(Unconfirmed) as asked:
        await restore(fresh, backup, CLOCK, agreed=False)
    assert asked.value.facts == {"key": f"needs {KEY_ID}, here is {here}"}
    done = await restore(fresh, backup, CLOCK, agreed=True)
    assert done.key_here == here
    assert done.warning is not None


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("dsn") if request.param == "postgres" else ""


async def test_a_backup_of_an_earlier_schema_is_migrated(
    filled: Config, tmp_path: Path, url: str
) -> None:
    """By the next start, or on its way into Postgres."""
    with closing(connect_writer(filled.data / "mesh.db", durable=True)) as writer:
        writer.execute("ALTER TABLE connections DROP COLUMN idle_s")
        writer.execute("DELETE FROM schema_migrations WHERE number = 300")
    await back_up(filled, tmp_path / "old")
    target = config(tmp_path / "fresh", url)
    done = await restore(target, tmp_path / "old", CLOCK, agreed=True)
    assert done.pending == ([] if url else ["0300_idle"])
    async with open_databases(target) as databases:
        assert await databases.migrate() == ([] if url else [300])
        assert len(await databases.main.all("data_key.all")) == 1


async def test_a_backup_of_a_later_schema_is_refused(filled: Config, tmp_path: Path) -> None:
    with closing(connect_writer(filled.data / "mesh.db", durable=True)) as writer:
        writer.execute("INSERT INTO schema_migrations VALUES (9999, 'later', 'x', 0)")
    await back_up(filled, tmp_path / "new")
    with pytest.raises(Unavailable, match="later release") as refused:
        await restore(config(tmp_path / "fresh"), tmp_path / "new", CLOCK, agreed=True)
    assert refused.value.next == "pip install --upgrade meshctl"


async def test_there_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await restore(config(tmp_path), tmp_path / "gone", CLOCK, agreed=True)


async def test_postgres_is_replaced_only_by_agreement_and_its_rows_are_kept(
    filled: Config, backup: Path, tmp_path: Path, dsn: str
) -> None:
    """One backup, either database: SQLite's into Postgres, Postgres's into SQLite."""
    target, expected = config(tmp_path / "pg", dsn), await sums(filled)
    await restore(target, backup, CLOCK, agreed=False)
    assert await sums(target) == expected
    async with open_databases(target) as databases:
        with pytest.raises(Conflict, match="daemons use this database"):
            await restore(target, backup, CLOCK, agreed=True)
        await databases.main.write(whole_step("more", "rows"))
    with pytest.raises(Unconfirmed):
        await restore(target, backup, CLOCK, agreed=False)
    changed = await sums(target)
    assert changed != expected
    done = await restore(target, backup, CLOCK, agreed=True)
    assert await sums(target) == expected
    assert done.kept is not None
    back = config(tmp_path / "back")
    await restore(back, Path(done.kept), CLOCK, agreed=False)
    assert await sums(back) == changed
    async with whole.read(back) as reading:
        assert (await counts(reading))["calls"] == 100


async def test_a_daemon_that_joins_meanwhile_ends_a_restore(
    filled: Config, backup: Path, tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not there when it was asked who is; nothing is replaced under its feet."""
    target = config(tmp_path / "pg", dsn)
    await restore(target, backup, CLOCK, agreed=False)
    expected = await sums(target)

    async def nobody(_config: Config, _place: object) -> int:
        return 0

    monkeypatch.setattr(whole, "daemons_there", nobody)
    async with open_databases(target) as databases:
        await databases.main.one("revision.sum")
        with pytest.raises(MeshError) as refused:
            await restore(target, backup, CLOCK, agreed=True)
    assert "began to use the database" in refused.value.facts["why"]
    assert await sums(target) == expected

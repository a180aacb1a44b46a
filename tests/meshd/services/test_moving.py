"""A move to Postgres and back: every value arrives, it is proved, and nothing is done by half."""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from meshd.core.clock import SystemClock
from meshd.core.config import Config
from meshd.services.moving import move
from meshd.store import postgres_load, whole
from meshd.store.opening import open_databases
from meshd.store.sqlite import connect_writer
from meshd.wire.errors import BadRequest, Conflict, NotFound, Unavailable
from tests.support.filled import config, fill

RECORDS = 3000
CLOCK = SystemClock()


@pytest.fixture
async def source(tmp_path: Path) -> Config:
    return await fill(tmp_path / "home", RECORDS)


def content(home: Path) -> dict[str, str]:
    """The digest of each file of the data."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((home / "data").glob("*.db"))
    }


async def rows(one: Config) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, in one order for both databases."""
    found = {}
    async with whole.read(one) as reading:
        for table in await reading.tables():
            order = sorted(range(len(table.columns)), key=table.columns.__getitem__)
            found[table.name] = sorted(
                (
                    tuple(row[at] for at in order)
                    for batch in [batch async for batch in reading.rows(table)]
                    for row in batch
                ),
                key=repr,
            )
    return found


async def test_every_value_arrives_and_comes_back(source: Config, dsn: str, tmp_path: Path) -> None:
    """There and back again; compared value by value, not by the checksums that the move prints."""
    before, files = await rows(source), content(source.home)
    there = await move(source, dsn, CLOCK)
    assert {one.table: one.rows for one in there.tables} == {
        name: len(found) for name, found in before.items()
    }
    assert all(
        one.rows == one.rows_there and one.checksum == one.checksum_there for one in there.tables
    )
    assert not any(one.replaced_nul for one in there.tables)
    target = config(source.home, dsn)
    assert await rows(target) == before
    assert content(source.home) == files, "the source is as it was"

    back = await move(target, f"file:{tmp_path}/back/mesh.db", CLOCK)
    assert [one.checksum for one in back.tables] == [one.checksum for one in there.tables]
    returned = config(source.home, f"file:{tmp_path}/back/mesh.db")
    assert await rows(returned) == before
    for path in (tmp_path / "back").iterdir():
        assert path.stat().st_mode & 0o077 == 0


async def test_numbers_go_on_behind_the_last_that_was_ever_given(
    source: Config, dsn: str, tmp_path: Path
) -> None:
    """A cursor that somebody holds never meets a number twice, there or back."""
    await move(source, dsn, CLOCK)
    connection = await asyncpg.connect(dsn)
    try:
        sequence = await connection.fetchval("SELECT pg_get_serial_sequence('calls', 'seq')")
        assert (
            await connection.fetchval("SELECT nextval($1::text::regclass)", sequence)
            == RECORDS + 1001
        )
    finally:
        await connection.close()
    await move(config(source.home, dsn), f"file:{tmp_path}/back/mesh.db", CLOCK)
    with closing(connect_writer(tmp_path / "back" / "calls.db", durable=True)) as writer:
        (last,) = writer.execute("SELECT seq FROM sqlite_sequence WHERE name = 'calls'").fetchall()
    assert last == {"seq": RECORDS + 1001}


async def test_text_that_postgres_cannot_hold_is_counted(tmp_path: Path, dsn: str) -> None:
    """U+0000 becomes U+FFFD, and the proof says in how many rows."""
    source = await fill(tmp_path / "home", 50, with_nul=7)
    moved = {one.table: one for one in (await move(source, dsn, CLOCK)).tables}
    assert moved["calls"].replaced_nul == 7
    assert moved["calls"].checksum == moved["calls"].checksum_there
    assert moved["events"].replaced_nul == 0
    errors = {
        row[sorted_at]
        for row in (await rows(config(source.home, dsn)))["calls"]
        for sorted_at in range(len(row))
    }
    assert "before\ufffdafter" in errors


@pytest.mark.parametrize("harm", ["lost", "changed"])
async def test_a_move_that_cannot_be_proved_leaves_nothing_behind(
    tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    """A row that was lost on the way, and a letter that changed."""
    source = await fill(tmp_path / "home", 50)
    true, load = postgres_load.storable, postgres_load.load

    def storable(row: tuple[object, ...]) -> tuple[object, ...]:
        return tuple("org 9" if value == "org 1" else value for value in true(row))

    async def lossy(*given: object) -> None:
        await load(*given)
        await given[1].execute("DELETE FROM events WHERE id = 'evt_3'")

    if harm == "changed":
        monkeypatch.setattr(postgres_load, "storable", storable)
    else:
        monkeypatch.setattr(postgres_load, "load", lossy)
    with pytest.raises(Unavailable) as refused:
        await move(source, dsn, CLOCK)
    table = "orgs" if harm == "changed" else "events"
    assert refused.value.facts["why"] == f"what was written is not what is there: {table}"
    assert await whole.rows_there(config(source.home, dsn)) == 0


async def test_a_target_with_rows_is_refused(tmp_path: Path, dsn: str) -> None:
    """And stays as it is, on either kind of database."""
    source = await fill(tmp_path / "home", 10)
    await move(source, dsn, CLOCK)
    with pytest.raises(Conflict, match="not empty"):
        await move(source, dsn, CLOCK)
    with pytest.raises(Conflict, match="not empty"):
        await move(source, "file:data/mesh.db", CLOCK)


async def test_a_database_that_a_daemon_uses_is_refused(tmp_path: Path, dsn: str) -> None:
    """As target and as source; on this machine or another, which the server cannot tell."""
    source, target = await fill(tmp_path / "home", 10), config(tmp_path / "home", dsn)
    async with open_databases(target):
        with pytest.raises(Conflict, match="daemons use this database") as refused:
            await move(source, dsn, CLOCK)
        assert refused.value.next == "meshctl daemon stop"
        with pytest.raises(Conflict, match="daemons use this database"):
            await move(target, f"file:{tmp_path}/back/mesh.db", CLOCK)
    await move(source, dsn, CLOCK)


async def test_what_cannot_be_moved(tmp_path: Path, dsn: str) -> None:
    """No data, no URL, and a database that lacks migrations."""
    empty = config(tmp_path)
    with pytest.raises(NotFound, match="no data yet"):
        await move(empty, dsn, CLOCK)
    async with open_databases(empty):
        pass
    with pytest.raises(Conflict, match="lacks migrations") as refused:
        await move(empty, dsn, CLOCK)
    assert refused.value.next == "meshctl db migrate"
    with pytest.raises(BadRequest):
        await move(empty, "mysql://x", CLOCK)


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """No folder that a move or a restore worked in stays behind."""
    yield
    assert [path for path in tmp_path.rglob(".*") if path.is_dir()] == []

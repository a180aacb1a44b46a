"""`meshctl db …` with the daemon's own program: what is printed, in text and in JSON."""

import json
from contextlib import closing

import msgspec
import pytest

from meshd.store.sqlite import connect_writer
from meshd.wire import db as wire
from tests.meshctl.cli.process import meshctl


@pytest.fixture
def migrated(home):
    """A home with a database and nothing in it."""
    assert meshctl("db", "migrate", home=home).code == 0
    return home


def typed(text, kind):
    """An answer in JSON as its documented type, without a field that this has not."""
    return msgspec.json.decode(
        text, type=msgspec.defstruct("Strict", [], bases=(kind,), forbid_unknown_fields=True)
    )


def test_status_before_the_first_start(home):
    """Nothing is made by looking."""
    ran = meshctl("db", "status", home=home)
    assert (ran.code, ran.err) == (0, "")
    assert "nothing yet; the first start applies" in ran.out
    shown = typed(meshctl("db", "status", "--json", home=home).out, wire.DbStatus)
    assert (shown.exists, shown.applied) == (False, [])
    assert "0200_foundation" in shown.pending
    assert not any(home.root.iterdir())


def test_migrate_names_what_it_applies_and_then_has_nothing_to_do(home):
    first = meshctl("db", "migrate", home=home)
    assert "applied 0200_foundation\n" in first.out
    again = meshctl("db", "migrate", home=home)
    assert (again.code, again.out) == (
        0,
        f"nothing to do: file:{home.text}/data/mesh.db has every migration\n",
    )
    done = typed(meshctl("db", "migrate", "--json", home=home).out, wire.DbMigrated)
    assert done.applied == []


def test_status_of_what_lacks_a_migration(migrated):
    with closing(connect_writer(migrated.root / "data" / "mesh.db", durable=True)) as writer:
        writer.execute("ALTER TABLE connections DROP COLUMN idle_s")
        writer.execute("DELETE FROM schema_migrations WHERE number = 300")
    ran = meshctl("db", "status", home=migrated)
    assert "pending       0300_idle\n" in ran.out
    assert ran.err == "next: meshctl db migrate\n"
    assert meshctl("db", "migrate", home=migrated).out == "applied 0300_idle\n"
    shown = typed(meshctl("db", "status", "--json", home=migrated).out, wire.DbStatus)
    assert shown.pending == []
    assert shown.flaw is None
    assert {one.table: one.rows for one in shown.tables}["keys"] == 0


@pytest.mark.parametrize(
    "words",
    [["db", "status"], ["db", "migrate"], ["db", "move", "--to", "file:x.db"], ["daemon", "start"]],
)
def test_data_of_a_later_release_is_refused(migrated, words):
    """Here and at a start, in the same words."""
    with closing(connect_writer(migrated.root / "data" / "mesh.db", durable=True)) as writer:
        writer.execute("INSERT INTO schema_migrations VALUES (9999, 'later', 'x', 0)")
    ran = meshctl(*words, home=migrated)
    assert (ran.code, ran.out) == (8, "")
    assert "error: the data belongs to a later release of meshctl than this one\n" in ran.err
    assert "migration 9999 is in the database" in ran.err
    assert "next: pip install --upgrade meshctl\n" in ran.err


def test_backup_restore_and_move_as_json(migrated, tmp_path):
    """Each answers with its documented type."""
    file = tmp_path / "a.backup"
    done = typed(meshctl("db", "backup", str(file), "--json", home=migrated).out, wire.BackedUp)
    assert (done.file, done.engine, done.bytes) == (str(file), "sqlite", file.stat().st_size)
    ran = meshctl("db", "restore", str(file), "--json", "--yes", home=migrated)
    assert typed(ran.out, wire.Restored).kept is not None
    moved = typed(
        meshctl("db", "move", "--to", "file:y/z.db", "--json", home=migrated).out, wire.DbMoved
    )
    assert moved.target == f"file:{migrated.text}/y/z.db"
    assert json.loads(
        meshctl("db", "status", "--json", home=migrated, DATABASE_URL="file:y/z.db").out
    )["exists"]


def test_a_password_is_neither_shown_nor_an_argument(migrated):
    """Where the other database is out of reach, too."""
    url = "postgres://me:hunter2@127.0.0.1:1/x"
    ran = meshctl("db", "move", "--to", "env:TEAM", home=migrated, TEAM=url)
    assert ran.code == 8
    assert "hunter2" not in ran.err
    assert "postgres://me:***@127.0.0.1:1/x" in ran.err


def test_a_backup_lands_where_the_command_was_given(migrated, tmp_path, monkeypatch):
    """A relative name counts from the caller's folder, not from the daemon's."""
    monkeypatch.chdir(tmp_path)
    assert meshctl("db", "backup", "mine", home=migrated).code == 0
    assert (tmp_path / "mine").exists()

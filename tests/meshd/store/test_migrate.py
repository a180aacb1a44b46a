"""The migration planner and the splitter, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.store.db import StoreError
from meshd.store.migrate import Migration, discover, plan, statements

TRIGGER = """CREATE TRIGGER t AFTER INSERT ON a BEGIN
    UPDATE a SET n = 1; -- not the end;
    DELETE FROM b WHERE x = 'END;';
END;"""


def made(number: int, checksum: str = "sum") -> Migration:
    return Migration(number, "name", f"{number:04}_name.sql", "", checksum)


@pytest.mark.parametrize(
    ("script", "parts"),
    [
        ("", []),
        ("SELECT 1;", ["SELECT 1;"]),
        ("SELECT 1; SELECT 2;\n", ["SELECT 1;", "SELECT 2;"]),
        ("SELECT 1;SELECT 2", ["SELECT 1;", "SELECT 2"]),
        ("SELECT ';';SELECT 2;", ["SELECT ';';", "SELECT 2;"]),
        ("-- a; b\nSELECT 1;", ["-- a; b\nSELECT 1;"]),
        ("/* a; b */ SELECT 1;", ["/* a; b */ SELECT 1;"]),
        (f"SELECT 1;\n{TRIGGER}\nSELECT 2;", ["SELECT 1;", TRIGGER, "SELECT 2;"]),
    ],
)
def test_a_script_falls_into_statements(script, parts):
    assert list(statements(script)) == parts


@pytest.mark.parametrize(
    ("files", "dialect", "found"),
    [
        ([], "sqlite", []),
        (["0200_b.sql", "0100_a.sql"], "sqlite", ["0100_a.sql", "0200_b.sql"]),
        (["0100_a.sqlite.sql", "0100_a.postgres.sql"], "sqlite", ["0100_a.sqlite.sql"]),
        (["0100_a.sqlite.sql", "0100_a.postgres.sql"], "postgres", ["0100_a.postgres.sql"]),
        (["0100_a.sqlite.sql", "0200_b.sql"], "sqlite", ["0100_a.sqlite.sql", "0200_b.sql"]),
        (["0100_a.sql", "README.md"], "sqlite", ["0100_a.sql"]),
    ],
)
def test_the_files_of_a_dialect(tmp_path, files, dialect, found):
    for name in files:
        (tmp_path / name).write_text("SELECT 1;")
    assert [migration.file for migration in discover(tmp_path, dialect)] == found


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        (["0100_a.sql", "0100_b.sql"], "0100_a.sql and 0100_b.sql have the same number"),
        (["0100_a.sqlite.sql", "0100_b.sqlite.sql"], "have the same number"),
        (["0100_a.sqlite.sql", "0100_b.postgres.sql"], "have the same number"),
        (["0100_a.sql", "0100_a.postgres.sql"], "have the same number"),
        (["0100_a.postgres.sql"], "0100_a.postgres.sql has no counterpart for sqlite"),
        (["100_a.sql"], "100_a.sql is not named"),
        (["0100_a.oracle.sql"], "0100_a.oracle.sql is not named"),
    ],
)
def test_a_folder_that_contradicts_itself_is_refused(tmp_path, files, complaint):
    for name in files:
        (tmp_path / name).write_text("SELECT 1;")
    with pytest.raises(StoreError) as refusal:
        discover(tmp_path, "sqlite")
    assert complaint in str(refusal.value)


def test_a_missing_folder_is_not_an_empty_one(tmp_path):
    with pytest.raises(StoreError, match="no folder of migrations"):
        discover(tmp_path / "absent", "sqlite")


@pytest.mark.parametrize(
    ("known", "applied", "missing"),
    [
        ([], {}, []),
        ([100, 200], {}, [100, 200]),
        ([100, 200], {100: "sum"}, [200]),
        ([100, 150, 200], {100: "sum", 200: "sum"}, [150]),
        ([100, 200], {100: "sum", 200: "sum"}, []),
    ],
)
def test_what_is_missing_comes_in_order(known, applied, missing):
    planned = plan([made(number) for number in known], applied)
    assert [migration.number for migration in planned] == missing


@given(st.sets(st.integers(1, 9999)), st.data())
def test_known_is_what_was_applied_and_what_is_planned(numbers, data):
    applied = data.draw(st.sets(st.sampled_from(sorted(numbers)))) if numbers else set()
    shuffled = data.draw(st.permutations(sorted(numbers)))
    planned = [
        migration.number
        for migration in plan([made(n) for n in shuffled], dict.fromkeys(applied, "sum"))
    ]
    assert planned == sorted(numbers - applied)


@pytest.mark.parametrize(
    ("applied", "complaint"),
    [
        ({100: "other"}, "0100_name.sql was changed after it was applied"),
        ({100: "sum", 300: "sum"}, "migration 0300 is in the database but not in this release"),
    ],
)
def test_a_database_of_another_history_is_refused(applied, complaint):
    with pytest.raises(StoreError) as refusal:
        plan([made(100), made(200)], applied)
    assert complaint in str(refusal.value)

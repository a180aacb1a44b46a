"""The format of the query files, as tables."""

import pytest

from meshd.store.db import QueryUnknown, StoreError
from meshd.store.queries import Queries, parse, statement


def block(sql: str) -> str:
    return f"-- name: thing.do\n-- Why.\n{sql}\n"


@pytest.mark.parametrize(
    ("sql", "kept", "params"),
    [
        ("SELECT 1", "SELECT 1", ()),
        ("SELECT 1;", "SELECT 1", ()),
        ("SELECT 1; -- done", "SELECT 1", ()),
        ("SELECT :b, :a, :b", "SELECT :b, :a, :b", ("b", "a")),
        ("SELECT ':no', \":no\", :yes", "SELECT ':no', \":no\", :yes", ("yes",)),
        ("SELECT 'it''s :no' || :yes", "SELECT 'it''s :no' || :yes", ("yes",)),
        ("SELECT :a::text", "SELECT :a::text", ("a",)),
        ("SELECT :a -- not :b;\n, 1", "SELECT :a -- not :b;\n, 1", ("a",)),
        ("SELECT /* :b; */ :a", "SELECT /* :b; */ :a", ("a",)),
        ("SELECT ';'", "SELECT ';'", ()),
        ("\nSELECT 1\n\n", "SELECT 1", ()),
    ],
)
def test_a_statement_and_its_parameters(sql, kept, params):
    (query,) = parse(block(sql), "thing.sql")
    assert (query.name, query.sql, query.params) == ("thing.do", kept, params)


@pytest.mark.parametrize(
    ("sql", "numbered"),
    [
        ("SELECT 1", "SELECT 1"),
        ("SELECT :b, :a, :b", "SELECT $1, $2, $1"),
        ("SELECT ':no', \":no\", :a::text -- :no", "SELECT ':no', \":no\", $1::text -- :no"),
    ],
)
def test_parameters_by_number(sql, numbered):
    assert statement("thing.do", sql).numbered == numbered


@pytest.mark.parametrize(
    ("sql", "returns"),
    [
        ("SELECT 1", True),
        ("VALUES (1)", True),
        ("WITH a AS (SELECT 1) SELECT * FROM a", True),
        ("with a as (delete from t where (n) in (1) returning n) select * from a", True),
        ("INSERT INTO t VALUES (1)", False),
        ("INSERT INTO t SELECT 1 FROM u", False),
        ("INSERT INTO t VALUES (1) RETURNING n", True),
        ("WITH a AS (SELECT (1)) UPDATE t SET n = 1", False),
        ("WITH a AS (DELETE FROM t RETURNING n) INSERT INTO u SELECT n FROM a", False),
        ("DELETE FROM t WHERE n = 'RETURNING' -- RETURNING", False),
        ("UPDATE t SET returning_n = 1", False),
    ],
)
def test_whether_a_statement_answers_rows(sql, returns):
    assert statement("thing.do", sql).returns is returns


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("SELECT 1", "thing.sql:1: SQL above the first"),
        ("-- name: thing\n-- Why.\nSELECT 1", "thing.sql:1: 'thing' is not of the form"),
        ("-- name: Thing.Do\n-- Why.\nSELECT 1", "'Thing.Do' is not of the form"),
        ("-- name: thing.do\nSELECT 1", "thing.do has no comment line that says why"),
        ("-- name: thing.do\n--\nSELECT 1", "thing.do has no comment line that says why"),
        ("-- name: thing.do\n-- Why.\n", "thing.do has no statement"),
        ("-- name: thing.do\n-- Why.\n-- name: thing.be\n-- Why.\nSELECT 1", "thing.do has no"),
        (block("SELECT 1; SELECT 2"), "thing.do holds more than one statement"),
        (block("SELECT 1;;"), "thing.do holds more than one statement"),
    ],
)
def test_a_broken_file_is_refused_by_name(text, complaint):
    with pytest.raises(StoreError) as refusal:
        parse(text, "thing.sql")
    assert complaint in str(refusal.value)


def test_a_file_may_open_with_a_comment_of_its_own():
    text = (
        "-- Things, whatever they are.\n\n"
        + block("SELECT 1")
        + "-- name: thing.be\n-- Why.\nSELECT 2"
    )
    assert [query.name for query in parse(text, "thing.sql")] == ["thing.do", "thing.be"]


def test_a_dialect_replaces_single_names(tmp_path):
    (tmp_path / "thing.sql").write_text(
        block("SELECT 'shared'") + "-- name: thing.be\n-- Why.\nSELECT 0"
    )
    (tmp_path / "thing.postgres.sql").write_text(block("SELECT 'postgres'"))
    (tmp_path / "thing.sqlite.sql").write_text(
        "-- name: thing.claim\n-- Only here.\nSELECT 'sqlite'"
    )
    assert {
        dialect: {name: queries.sql(name) for name in queries.names()}
        for dialect in ("sqlite", "postgres")
        if (queries := Queries.load(tmp_path, dialect))
    } == {
        "sqlite": {
            "thing.be": "SELECT 0",
            "thing.claim": "SELECT 'sqlite'",
            "thing.do": "SELECT 'shared'",
        },
        "postgres": {"thing.be": "SELECT 0", "thing.do": "SELECT 'postgres'"},
    }


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"a.sql": block("SELECT 1"), "b.sql": block("SELECT 2")}, "b.sql: the name thing.do is"),
        ({"a.sql": block("SELECT 1") * 2}, "a.sql: the name thing.do is taken"),
        ({"a.oracle.sql": block("SELECT 1")}, "a.oracle.sql: unknown dialect 'oracle'"),
    ],
)
def test_a_folder_that_contradicts_itself_is_refused(tmp_path, files, complaint):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(StoreError) as refusal:
        Queries.load(tmp_path)
    assert complaint in str(refusal.value)


def test_a_missing_folder_is_not_an_empty_one(tmp_path):
    with pytest.raises(StoreError, match="no folder of queries"):
        Queries.load(tmp_path / "absent")


def test_an_unknown_name_is_told(queries):
    with pytest.raises(QueryUnknown, match=r"thing\.fly"):
        queries.sql("thing.fly")


def test_binding_copies_what_the_query_names_and_misses_the_rest(queries):
    query = queries.query("thing.add")
    values = {"name": "a", "count": 1, "more": 2}
    assert query.bind(values) == {"name": "a", "count": 1}
    with pytest.raises(StoreError, match=r"thing\.add: no value for count$"):
        query.bind({"name": "a"})

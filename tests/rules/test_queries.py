"""Queries and migrations: every name in the source has its statement and the other way round."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from meshd.store.migrate import discover
from meshd.store.queries import Queries
from tests.rules.sources import PACKAGES, Source, sources

SQL = PACKAGES["meshd"] / "store" / "sql"
MIGRATIONS = PACKAGES["meshd"] / "store" / "migrations"

ASKING = {"Step", "one", "all", "write_many"}
"""What takes the name of a query first. `all` is Python's too, hence the shape of the name."""
QUERY = re.compile(r"[a-z_]+\.[a-z_]+")
TABLES = ("meshd.wire.", "meshd.api.")
"""Names of calls stand there; they look like names of queries."""


def texts(source: Source) -> Iterator[str]:
    """Every text in a module that could name a query."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and QUERY.fullmatch(str(node.value)):
            yield str(node.value)


def asked(source: Source) -> Iterator[str]:
    """The queries that a module names where it runs them."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and node.args:
            name = ast.unparse(node.func).rpartition(".")[2]
            first = node.args[0]
            if name in ASKING and isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def _users() -> Iterator[Source]:
    return (
        one
        for one in sources()
        if one.name.startswith("meshd.") and not one.name.startswith(TABLES)
    )


def test_every_query_is_used():
    written = {text for source in _users() for text in texts(source)}
    assert set(Queries.load(SQL).names()) - written == set()


def test_every_query_that_is_asked_for_exists():
    wanted = {query for source in _users() for query in asked(source)}
    assert wanted, "the source runs queries"
    assert wanted - set(Queries.load(SQL).names()) == set()


def test_a_query_in_the_source_is_found():
    source = Source.of("meshd.planted", 'db.one("key.gone")\nwrite(Step("key.lost", {}))\n')
    assert list(asked(source)) == list(texts(source)) == ["key.gone", "key.lost"]


FORM = re.compile(r"(\d{4})_([a-z0-9_]+?)(?:\.(sqlite|postgres))?\.sql")


def uneven(files: Iterable[str]) -> Iterator[str]:
    """What is wrong with the names of migrations, once there is more than one dialect."""
    forms = [found for file in files if (found := FORM.fullmatch(file))]
    dialects = {form[3] for form in forms if form[3]}
    numbers: dict[str, str] = {}
    for form in forms:
        if numbers.setdefault(form[1], form[2]) != form[2]:
            yield f"{form[0]}: {form[1]} is called {numbers[form[1]]} elsewhere"
    for number, name in numbers.items():
        mine = [form[3] for form in forms if form[1] == number]
        if mine != [None] and set(mine) != dialects:
            yield f"{number}_{name} is not there for {dialects - set(mine)}"


def _folders() -> list[Path]:
    return sorted(path for path in MIGRATIONS.iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", _folders(), ids=lambda folder: folder.name)
def test_migrations_are_the_same_for_every_dialect(folder):
    files = [path.name for path in folder.iterdir()]
    assert [file for file in files if not FORM.fullmatch(file)] == []
    assert list(uneven(files)) == []


def test_no_number_is_used_by_two_databases():
    numbers = [one.number for folder in _folders() for one in discover(folder, "sqlite")]
    assert len(numbers) == len(set(numbers)) > 0


@pytest.mark.parametrize(
    "files",
    [
        ["0200_a.sqlite.sql", "0200_a.postgres.sql", "0300_b.sqlite.sql"],
        ["0200_a.sqlite.sql", "0200_b.postgres.sql"],
        ["0200_a.sql", "0200_b.sql"],
    ],
)
def test_an_uneven_set_of_migrations_is_found(files):
    assert list(uneven(files))


def test_one_dialect_and_shared_files_are_even():
    assert list(uneven(["0200_a.sqlite.sql", "0300_b.sql"])) == []
    assert list(uneven(["0200_a.sqlite.sql", "0200_a.postgres.sql", "0300_b.sql"])) == []

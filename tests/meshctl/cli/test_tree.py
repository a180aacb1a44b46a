"""The table of commands against the functions it names."""

import inspect

import pytest

from meshctl.cli.build import load, prose
from meshctl.cli.front import overview
from meshctl.cli.tree import ALIASES, EVERYDAY, NOUNS, ROWS, find, first_words


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.words)
def test_a_row_names_a_documented_function(row):
    """Its summary is the docstring's first line; its first parameter is typer's context."""
    function = load(row)
    assert row.summary == inspect.getdoc(function).split("\n")[0]
    assert next(iter(inspect.signature(function).parameters)) == "ctx"
    assert not row.noun or row.noun in NOUNS


def test_words_are_unique():
    """No two rows, short verbs or nouns are called alike."""
    words = [word for row in ROWS for word in (row.words, *row.also)]
    assert len({*words, *NOUNS}) == len(words) + len(NOUNS)


def test_every_noun_has_verbs():
    """And every everyday word is one of the tree."""
    assert {row.noun for row in ROWS if row.noun} == NOUNS.keys()
    assert set(EVERYDAY) == set(first_words()) - NOUNS.keys()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("key add x --role y", "key add"),
        ("add-key x", "key add"),
        ("connection ls", "connection list"),
        ("connection rm x", "connection remove"),
        ("status", "status"),
        ("completion bash", "completion"),
        ("key", None),
        ("key nothing", None),
        ("nothing", None),
        ("", None),
    ],
)
def test_find(line, words):
    """The row behind a line, by any of its spellings."""
    row = find(line.split())
    assert (row.words if row else None) == words


def test_which_commands_may_start_the_daemon():
    """Looking, stopping and reading must not change whether it runs."""
    never = {row.words for row in ROWS if not row.start}
    assert never == {
        "status", "metrics", "doctor", "version", "help", "completion",
        "config list", "config get", "db status", "db migrate", "db backup", "db restore", "db move", "daemon stop", "daemon show", "daemon logs",
        "daemon install", "daemon uninstall",
    }  # fmt: skip


def test_the_overview_shows_everything():
    """Each everyday word and each noun with its verbs, within 80 columns."""
    text = overview()
    lines = [line.split() for line in text.splitlines()]
    for word in (*EVERYDAY, *NOUNS):
        assert any(line[:1] == [word] for line in lines), word
    for row in ROWS:
        if row.noun:
            assert any(line[:1] == [row.noun] and row.verb in line[1:] for line in lines)
    assert max(map(len, text.splitlines())) <= 80
    assert not any(line[:1] == ["completion"] for line in lines)


def test_aliases_stand_for_verbs():
    """Each hidden word stands for a verb that exists."""
    assert set(ALIASES.values()) <= {row.verb for row in ROWS}


def test_prose_leaves_out_what_is_for_readers_of_the_code():
    """A section of raised errors is no help for an operator."""

    def command():
        """Do it.

        With care.

        Raises:
            KeyError: never.
        """

    assert prose(command) == "Do it.\n\nWith care."

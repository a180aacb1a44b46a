"""What searching finds: on real definitions against plain matching of words, and its promises."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.services.tool_search import Entry, ToolIndex, parameters, stem, words

CORPUS = Path(__file__).with_name("tool_corpus")
Queries = list[tuple[str, list[str]]]
QUERIES: Queries = json.loads((CORPUS / "queries.json").read_text())
HELD_OUT: Queries = json.loads((CORPUS / "held_out.json").read_text())
"""Written without a look at the words that count for each other, or at how they rank."""
Search = Callable[[str], list[str]]


def entry(row: dict) -> Entry:
    return Entry(
        name=f"{row['server']}_{row['name']}",
        title=row.get("title", ""),
        description=row["description"],
        parameters=parameters(json.dumps(row["inputSchema"]).encode()),
        connection=row["server"],
    )


ENTRIES = [entry(row) for row in json.loads((CORPUS / "tools.json").read_text())]


def plain(query: str) -> list[str]:
    """Points for each word that a field contains: 10 is the name, in the name 3, and so on."""
    terms = [term for term in re.split(r"[\s_\-./]+", query.lower()) if len(term) >= 2]

    def score(one: Entry) -> int:
        name = one.name.lower()
        return sum(
            10 * (term == name) + 3 * (term in name) + 2 * (term in one.description.lower())
            + (term in one.connection.lower())
            for term in terms
        )  # fmt: skip

    found = [(score(one), one.name) for one in ENTRIES]
    return [name for points, name in sorted(found, key=lambda pair: -pair[0]) if points][:10]


def measured(search: Search, queries: Queries) -> tuple[float, float, float]:
    """Mean reciprocal rank among ten, and the parts of queries answered first and among five."""
    ranks = [
        next((at for at, name in enumerate(search(query)[:10], 1) if name in right), 0)
        for query, right in queries
    ]
    many = len(ranks)
    return (
        sum(1 / rank for rank in ranks if rank) / many,
        sum(rank == 1 for rank in ranks) / many,
        sum(0 < rank <= 5 for rank in ranks) / many,
    )


def test_the_corpus_is_what_its_readme_says() -> None:
    names = {one.name for one in ENTRIES}
    assert (len(ENTRIES), len(names), len(QUERIES), len(HELD_OUT)) == (200, 200, 60, 30)
    assert len({one.connection for one in ENTRIES}) == 14
    assert {name for _, right in [*QUERIES, *HELD_OUT] for name in right} <= names


@pytest.mark.parametrize(("queries", "margin"), [(QUERIES, 0.2), (HELD_OUT, 0.08)])
def test_more_is_found_than_by_plain_matching(
    queries: Queries, margin: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a margin, so that a change for the worse is seen."""
    index = ToolIndex(ENTRIES)
    ours = measured(lambda query: index.search(query, 10), queries)
    theirs = measured(plain, queries)
    with capsys.disabled():
        for label, (mrr, first, five) in (("search", ours), ("plain matching", theirs)):
            print(f"\n{label}: MRR@10 {mrr:.3f}, hit@1 {first:.3f}, hit@5 {five:.3f}", end="")
    assert all(mine > other + margin for mine, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(
    "text",
    [
        "createIssue",
        "create_issue",
        "create-issue",
        "create issues",
        "CreateIssue",
        "creating Issue",
    ],
)
def test_however_it_is_written_a_name_is_found(text: str) -> None:
    index = ToolIndex([Entry("remove_label"), Entry("createIssue"), Entry("list_all")])
    assert index.search(text, 1) == ["createIssue"]


@pytest.mark.parametrize(
    ("alike", "other"),
    [(("list", "lists", "listing", "listed"), "lost"), (("query", "queries"), "quest"),
     (("file", "files"), "fill"), (("commit", "committing", "commits"), "comma")],
)  # fmt: skip
def test_endings_do_not_part_words(alike: tuple[str, ...], other: str) -> None:
    assert len({stem(word) for word in alike}) == 1
    assert stem(other) != stem(alike[0])


def test_a_word_in_a_name_counts_more_than_in_passing() -> None:
    index = ToolIndex([Entry("a", description="Can also delete a file."), Entry("delete_file")])
    assert index.search("delete file", 2) == ["delete_file", "a"]


def test_other_words_for_the_same_are_found_but_after_the_word_itself() -> None:
    index = ToolIndex([Entry("delete_label"), Entry("remove_label"), Entry("paint")])
    assert index.search("remove", 3) == ["remove_label", "delete_label"]


def test_equals_stand_in_the_order_of_the_list() -> None:
    index = ToolIndex([Entry(name, description="the same") for name in "cab"])
    assert index.search("same", 9) == ["c", "a", "b"]
    assert index.search("same", 2) == ["c", "a"]


@pytest.mark.parametrize("query", ["", "   ", "the of a", "%&/", "xyzzy"])
def test_what_says_nothing_finds_nothing(query: str) -> None:
    assert ToolIndex(ENTRIES[:20]).search(query, 10) == []


def test_an_empty_list_has_nothing() -> None:
    assert ToolIndex([]).search("anything", 10) == []


@given(st.text(max_size=300), st.integers(-1, 20))
def test_any_query_is_answered_within_bounds_and_twice_alike(query: str, limit: int) -> None:
    index = ToolIndex(ENTRIES[:30])
    found = index.search(query, limit)
    assert len(found) <= max(0, limit)
    assert len(set(found)) == len(found)
    assert index.search(query, limit) == found


@given(st.text(max_size=100))
def test_words_are_never_empty(text: str) -> None:
    assert all(words(text))


def test_only_the_beginning_of_long_texts_is_read() -> None:
    long = Entry("a", description="x " * 2000 + "needle")
    assert ToolIndex([long]).search("needle", 1) == []
    assert ToolIndex([long]).search("z " * 500 + "x", 1) == []


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (b'{"properties": {"to": {"description": "Whom."}, "cc": {}, "x": true}}', "to Whom.\ncc \nx "),
        (b'{"properties": {"to": {"description": 7}}}', "to "),
        (b"{}", ""), (b"", ""), (b"[]", ""), (b'{"properties": []}', ""), (b"{\xff", ""),
        (b'{"properties": {"a":' + b"[" * 5000, ""),
    ],
)  # fmt: skip
def test_a_schema_that_cannot_be_read_says_nothing(schema: bytes, text: str) -> None:
    assert parameters(schema) == text

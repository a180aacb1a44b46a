"""What differs between two lists, and how much of it an event tells."""

import msgspec

from meshd.services.definitions import Definitions, from_entries
from meshd.services.tool_changes import MAX_NAME, MAX_TOLD, Change, difference, told


def listed(*tools: dict[str, object]) -> Definitions:
    return from_entries(map(msgspec.json.encode, tools), 0)


def test_each_kind_of_change_with_the_members_that_differ() -> None:
    before = listed({"name": "a", "title": "A"}, {"name": "gone"}, {"name": "same"})
    after = listed({"name": "new"}, {"name": "same"}, {"name": "a", "description": "x"})
    assert difference(before, after) == [
        Change("new", "added"),
        Change("a", "changed", ("title", "description")),
        Change("gone", "removed"),
    ]
    assert difference(after, after) == []


def test_an_event_names_only_so_many() -> None:
    """Names are the server's own: their number and their length have a bound."""
    changes = [Change(f"t{n}", "added") for n in range(MAX_TOLD + 3)] + [
        Change("x" * 999, "removed")
    ]
    data = told("notes", changes)
    assert len(data["added"]) == MAX_TOLD
    assert data["more"] == 3
    assert (data["removed"], data["changed"]) == (["x" * MAX_NAME], [])
    assert "more" not in told("notes", changes[:2])

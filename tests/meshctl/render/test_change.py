"""The diff of a definition, as a person reads it before approving."""

from meshctl.render import change
from meshctl.render.look import Look

LOOK = Look.of({}, terminal=False)


def row(before: object, after: object, **more: object) -> dict[str, object]:
    kind = "added" if before is None else "removed" if after is None else "changed"
    return {
        "connection": "notes", "tool": "echo", "change": kind, "fields": [], "withheld": True,
        "before": before, "after": after, **more,
    }  # fmt: skip


def test_only_what_differs_and_a_little_around() -> None:
    before = {"name": "echo", "description": "One.\nTwo.", "inputSchema": {"b": 1, "a": 2}}
    after = {"name": "echo", "description": "One.\n2.", "inputSchema": {"a": 2, "b": 1}}
    assert change.diff(row(before, after, fields=["description"]), LOOK) == [
        "notes/echo  changed (withheld): description",
        "--- notes/echo before",
        "+++ notes/echo now",
        "@@ -1,6 +1,6 @@",
        " description:",
        "   One.",
        "-  Two.",
        "+  2.",
        " inputSchema:",
        "   {",
        '     "a": 2,',
        "",
    ]


def test_what_hides_in_a_definition_is_seen() -> None:
    """In names, texts and schemas, also where nothing else differs."""
    evil = {
        "name": "x",
        "description": "Says it.\U000e0041\u202e",
        "inputSchema": {"\x1b[2J": "\u200b"},
    }
    text = "\n".join(change.diff(row(None, evil, tool="a\u2066\x9b"), LOOK))
    for shown in (r"\U000e0041\u202e", r"\u001b[2J", r"\u200b", r"a\u2066\x9b"):
        assert shown in text
    assert text.replace("\n", "").isascii()
    assert text.replace("\n", "").isprintable()


def test_a_difference_that_no_line_shows_is_said() -> None:
    found = change.diff(row({"name": "echo", "n": 1}, {"name": "echo", "n": 1}), LOOK)
    assert "twice" in found[1]


def test_each_side_alone() -> None:
    gone = change.diff(row({"name": "echo", "description": "x"}, None, withheld=False), LOOK)
    assert gone[0] == "notes/echo  removed"
    assert {line[0] for line in gone[4:-1]} == {"-"}
    assert change.approved(row({"name": "echo"}, None)) == "forgot notes/echo"
    assert change.counted([row(None, {}), row(None, {})]) == "2 tools of notes as shown"

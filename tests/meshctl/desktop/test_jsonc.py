"""Edits of JSONC texts: what changes, and that nothing else does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshctl.desktop.jsonc import JsoncError, parse, remove_member, set_member
from meshctl.desktop.jsonc_reader import DEPTH, read

ENTRY = {"command": "/opt/meshctl", "args": ["stdio", "time"]}


# Random documents. Every gap between two tokens may hold whitespace and comments.

GAPS = st.sampled_from(
    [
        "",
        "",
        "",
        " ",
        "  ",
        "\t",
        "\n",
        "\n  ",
        "\n\t",
        "\r\n",
        "\r\n    ",
        "\r",
        "\n\n  ",
        " \n ",
        "// c\n",
        " // c \r\n  ",
        "//\r",
        '// "a": {,}\n\t',
        "\n  // c\n  // d\n  ",
        "/* c */",
        " /* c */ ",
        '/*"a":{,*/',
        "/* c\n d */",
        "\n  /* c */\n",
        "/**//* d */ // e\n",
        "  // c\n",
    ]
)
KEYS = st.sampled_from(["a", "b", "c d", "ü", 'q"', "\\", "mcpServers"])
SCALARS = st.sampled_from(["1", "-2.5e3", "true", "null", '"x"', '"// no"', '"\\u00fc{"', '"\t"'])


@st.composite
def containers(draw, inner):
    """An object or a list text, with or without a trailing comma."""
    is_object = draw(st.booleans())
    parts = []
    items = draw(st.lists(st.tuples(KEYS, inner), max_size=2))
    for position, (key, value) in enumerate(items):
        if position:
            parts.append(",")
        if is_object:
            parts += [draw(GAPS), json.dumps(key, ensure_ascii=False), draw(GAPS), ":"]
        parts += [draw(GAPS), value, draw(GAPS)]
    if items and draw(st.booleans()):
        parts += [",", draw(GAPS)]
    if not items:
        parts.append(draw(GAPS))
    opening, closing = "{}" if is_object else "[]"
    return f"{opening}{''.join(parts)}{closing}"


VALUES = st.recursive(SCALARS, containers, max_leaves=5)


@st.composite
def documents(draw):
    """A document and the path of an object in it."""
    bodies = [
        f"{draw(GAPS)}{json.dumps(key)}{draw(GAPS)}:{draw(GAPS)}{draw(VALUES)}"
        for key in draw(st.lists(KEYS, unique=True, max_size=3))
    ]
    inside = ",".join(bodies) + draw(
        GAPS if not bodies else st.sampled_from(["", ",", ",\n", "\n"])
    )
    bom = draw(st.sampled_from(["", "\ufeff"]))
    text = f"{bom}{draw(GAPS)}{{{inside}}}{draw(GAPS)}"
    return text, draw(st.sampled_from(list(object_paths(read(text)))))


def object_paths(node, path=()):
    yield path
    for member in {one.key: one for one in node.members}.values():
        if member.value.members is not None:
            yield from object_paths(member.value, (*path, member.key))


def at(document, path):
    for key in path:
        document = document[key]
    return document


@settings(max_examples=150, deadline=None)
@given(documents(), st.sampled_from([ENTRY, {}, [], "x", None, {"ü": [1, {"y": "//"}]}]))
def test_removing_what_was_added_gives_the_same_text_back(document, value):
    """For any document, any object in it and any value, the round trip is the identity."""
    text, path = document
    changed = set_member(text, path, "new", value)
    assert at(parse(changed), path) == {**at(parse(text), path), "new": value}
    assert remove_member(changed, path, "new") == text


@settings(max_examples=60, deadline=None)
@given(documents())
def test_removing_any_member_changes_no_other_value(document):
    """Foreign members can be cut too, comments and commas around them notwithstanding."""
    text, path = document
    for name in at(parse(text), path):
        rest = {key: value for key, value in at(parse(text), path).items() if key != name}
        assert at(parse(remove_member(text, path, name)), path) == rest


@settings(max_examples=60, deadline=None)
@given(documents())
def test_replacing_a_member_changes_no_other_value(document):
    """A replacement keeps the place of the member and every other member."""
    text, path = document
    for name in at(parse(text), path):
        changed = parse(set_member(text, path, name, ENTRY))
        assert list(at(changed, path).items()) == list(
            {**at(parse(text), path), name: ENTRY}.items()
        )


@settings(max_examples=30, deadline=None)
@given(documents())
def test_a_removal_of_something_absent_changes_nothing(document):
    """Neither an absent name nor an absent path is an error."""
    text, path = document
    assert remove_member(text, path, "absent") == text
    assert remove_member(text, [*path, "absent"], "x") == text


LOOKS = {
    "two spaces": (
        '{\n  "mcpServers": {\n    "a": {}\n  }\n}\n',
        '{\n  "mcpServers": {\n    "a": {},\n    "n": {\n      "k": [\n        1\n      ]\n    }\n  }\n}\n',
    ),
    "tabs": (
        '{\n\t"mcpServers": {\n\t\t"a": {}\n\t}\n}',
        '{\n\t"mcpServers": {\n\t\t"a": {},\n\t\t"n": {\n\t\t\t"k": [\n\t\t\t\t1\n\t\t\t]\n\t\t}\n\t}\n}',
    ),
    "CRLF": (
        '{\r\n  "mcpServers": {}\r\n}',
        '{\r\n  "mcpServers": {\r\n    "n": {\r\n      "k": [\r\n        1\r\n      ]\r\n    }\r\n  }\r\n}',
    ),
    "a comment inside": (
        '{\n  "mcpServers": {\n    // none yet\n  }\n}',
        '{\n  "mcpServers": {\n    "n": {\n      "k": [\n        1\n      ]\n    }\n\n    // none yet\n  }\n}',
    ),
    "one line": ('{"mcpServers": {"a": 1}}', '{"mcpServers": {"a": 1, "n": {"k": [1]}}}'),
    "one line, empty": ('{"mcpServers": {}}', '{"mcpServers": {"n": {"k": [1]}}}'),
    "tight": ('{"mcpServers":{"a":1,"b":2}}', '{"mcpServers":{"a":1,"b":2,"n":{"k": [1]}}}'),
    "trailing comma": (
        '{\n  "mcpServers": {\n    "a": 1, // one\n  },\n}',
        '{\n  "mcpServers": {\n    "a": 1, // one\n    "n": {\n      "k": [\n        1\n      ]\n    },\n  },\n}',
    ),
    "comment on the last line": (
        '{\n  "mcpServers": {\n    "a": 1 // one\n  }\n}',
        '{\n  "mcpServers": {\n    "a": 1, // one\n    "n": {\n      "k": [\n        1\n      ]\n    }\n  }\n}',
    ),
    "no servers yet": (
        "{}\n",
        '{\n  "mcpServers": {\n    "n": {\n      "k": [\n        1\n      ]\n    }\n  }\n}\n',
    ),
}


@pytest.mark.parametrize(("before", "after"), LOOKS.values(), ids=LOOKS)
def test_an_added_member_looks_like_its_neighbours(before, after):
    """Indentation, line endings and commas are those of the document."""
    assert set_member(before, ["mcpServers"], "n", {"k": [1]}) == after


def test_a_replaced_member_keeps_its_place_and_its_comments():
    """Only the value's own text changes."""
    before = '{\n  // one\n  "a": {"x": 1}, // why\n  "b": 2\n}'
    assert set_member(before, [], "a", 3) == '{\n  // one\n  "a": 3, // why\n  "b": 2\n}'


def test_equal_keys_all_go():
    """After a removal no reader may see the name, whichever of equal keys it takes."""
    assert parse(remove_member('{"a": 1, "b": 2, "a": 3}', [], "a")) == {"b": 2}


def test_a_comment_above_does_not_swallow_what_follows():
    """The break that ends a line comment stays when the member behind it goes."""
    assert parse(remove_member('{"a": 1, // one\n "b": 2 }', [], "b")) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('\ufeff{"a": [1, 2,], /* x */ }', {"a": [1, 2]}),
        ("// only a comment\n[]", []),
        ('"tab\there"', "tab\there"),
        ("{'a': 1}".replace("'", '"'), {"a": 1}),
        ('{"a": "//", "a": "/*"}', {"a": "/*"}),
    ],
)
def test_what_json_editors_accept_is_read(text, value):
    """Comments, trailing commas, a BOM and raw tabs."""
    assert parse(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column 1: a value is missing before the end"),
        ('{\n "a" 1}', 'line 2, column 6: ":" is missing before "1"'),
        ('{"a": 1 "b": 2}', 'line 1, column 9: "," or "}" is missing before """'),
        ("[1 2]", 'line 1, column 4: "," or "]" is missing before "2"'),
        ("{a: 1}", 'line 1, column 2: a quoted key is missing before "a"'),
        ('{"a": NaN}', 'line 1, column 7: a value is missing before "N"'),
        ('["a\n"]', "line 1, column 2: a string without its closing quote"),
        (r'["\x"]', "line 1, column 2: a string with an escape that JSON does not know"),
        ("[,]", 'line 1, column 2: a value is missing before ","'),
        ("{} {}", 'line 1, column 4: "{" after the end of the document'),
        ("/* open", 'line 1, column 1: a value is missing before "/"'),
        ("[" * 5000, f"line 1, column {DEPTH + 2}: nested deeper than {DEPTH}"),
        ("1" * 5000, "line 1, column 1: a number that is too long"),
    ],
)
def test_an_error_names_its_place(text, message):
    """Line and column count from 1, and the sentence says what is missing."""
    with pytest.raises(JsoncError) as caught:
        parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["[]", '{"mcpServers": []}', '{"mcpServers": null}'])
def test_something_else_in_the_path_is_refused(text):
    """A list or null in the place of an object is left alone."""
    with pytest.raises(JsoncError, match="is not an object"):
        set_member(text, ["mcpServers"], "n", 1)

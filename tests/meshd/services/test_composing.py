"""What a virtual MCP exposes of its children: names, selection, overrides, collisions."""

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from meshd.protocol.jsonrpc import BadMessage
from meshd.services.composing import Composed, Exposed, Part, Thing, compose, of_connection
from meshd.services.exposed_names import MAX_NAME
from meshd.services.virtual_rows import ChildRow, Override
from meshd.wire.virtual import Naming


def tools(connection: str, *names: str, **more: Any) -> list[Exposed]:
    """What a connection of that name lists."""
    entries = [{"name": name, "inputSchema": {"type": "object"}, **more} for name in names]
    return of_connection(f"conn_{connection}", "tool", [Raw(json.dumps(e)) for e in entries])


def part(
    child: str, *names: str, overrides: dict[str, Override] | None = None, **picked: Any
) -> Part:
    """A child with tools of these names."""
    return Part(child, ChildRow(child, overrides=overrides or {}, **picked), tools(child, *names))


def composed(*parts: Part, naming: Naming = "prefixed", before: Any = None) -> Composed:
    return compose("vir_a", naming, "tool", parts, before)


def routes(found: Composed) -> dict[str, tuple[str, str]]:
    """Name to the connection and its own name."""
    return {n: (e.route.connection, e.route.name) for n, e in found.exposed.items()}


def test_names_bear_the_child_also_when_there_is_one() -> None:
    """And lead back by being looked up."""
    found = composed(part("hub", "echo", "a_b"))
    assert routes(found) == {"hub_echo": ("conn_hub", "echo"), "hub_a_b": ("conn_hub", "a_b")}
    assert json.loads(bytes(found.exposed["hub_echo"].raw))["name"] == "hub_echo"


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (None, ["hub_add", "hub_add_all", "hub_drop"]),
        ((), []),
        (("add*",), ["hub_add", "hub_add_all"]),
        (("drop", "add"), ["hub_add", "hub_drop"]),
        (("hub_*",), []),
    ],
)
def test_patterns_select_by_the_childs_own_names(
    patterns: tuple[str, ...] | None, names: list[str]
) -> None:
    found = composed(part("hub", "add", "add_all", "drop", tools=patterns))
    assert list(found.exposed) == names


def test_a_long_name_is_cut_and_ends_in_a_hash() -> None:
    long = "x" * 70
    (name,) = composed(part("hub", long)).exposed
    assert len(name) == MAX_NAME
    assert name.startswith("hub_xxx")
    assert set(name[-8:]) <= set(string.hexdigits)
    assert name[-9] == "_"
    assert name not in composed(part("hub", long + "y")).exposed


def test_a_renamed_tool_has_that_name_and_description() -> None:
    override = {"echo": Override(name="say", description="Says it.")}
    (one,) = composed(part("hub", "echo", overrides=override)).exposed.values()
    said = json.loads(bytes(one.raw))
    assert (said["name"], said["description"], one.route.name) == ("hub_say", "Says it.", "echo")


def test_what_is_hidden_or_pinned_is_no_argument_any_more() -> None:
    """Not in the schema, refused when it is sent, and set by us where it is pinned."""
    schema = {
        "type": "object",
        "properties": {"text": {"type": "string"}, "token": {}, "dry": {}},
        "required": ["token", "text"],
        "additionalProperties": False,
    }
    override = {"echo": Override(hidden=("dry",), pinned={"token": b'{"a": 1.0}'})}
    exposed = tools("hub", "echo", inputSchema=schema)
    (one,) = composed(Part("hub", ChildRow("hub", overrides=override), exposed)).exposed.values()
    assert json.loads(bytes(one.raw))["inputSchema"] == {
        "type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"],
        "additionalProperties": False,
    }  # fmt: skip
    assert one.route.arguments(b'{"text": 1e2}') == b'{"text":1e2,"token":{"a": 1.0}}'
    for sent in (b'{"dry":1}', b'{"token":1}', b'{"a":1,"a":2}', b'{"Token":1}'):
        with pytest.raises(BadMessage):
            one.route.arguments(sent)


def test_arguments_pass_untouched_where_nothing_is_kept_from_callers() -> None:
    (one,) = composed(part("hub", "echo")).exposed.values()
    assert one.route.arguments(b'{ "a":1, "a":2}') == b'{ "a":1, "a":2}'


def test_of_two_that_want_a_name_neither_has_it_while_nobody_knows_who_was_first() -> None:
    """After a restart, whoever came later must not have it; both are shown as withheld."""
    one, two = part("a", "echo", "own"), part("b", "echo")
    found = composed(one, two, naming="plain")
    assert routes(found) == {"own": ("conn_a", "own")}
    assert [(w.name, w.route.connection) for w in found.withheld] == [
        ("echo", "conn_a"), ("echo", "conn_b"),
    ]  # fmt: skip


def uris(connection: str, thing: Thing, *names: str) -> Part:
    """A child with resources, or templates, of these URIs."""
    label = {"resource": "uri", "template": "uriTemplate"}[thing]
    own = of_connection(connection, thing, [Raw(json.dumps({label: name})) for name in names])
    return Part(connection, ChildRow(connection), own)


def test_a_uri_stays_with_its_holder_and_goes_to_the_first_part_where_there_is_none() -> None:
    """The others are known still, for whoever may use no other."""
    a, b = uris("conn_a", "resource", "u://1"), uris("conn_b", "resource", "u://1")
    found = compose("/mcp", "prefixed", "resource", [a, b])
    assert found.exposed["u://1"].route.connection == "conn_a"
    assert [one.route.connection for one in found.others["u://1"]] == ["conn_b"]
    after = compose("/mcp", "prefixed", "resource", [b, a], found.held)
    assert after.exposed["u://1"].route.connection == "conn_a"


def test_who_had_a_name_before_keeps_it() -> None:
    """An upstream that adds a tool later takes nobody's name, wherever it stands in the order."""
    before = composed(part("a"), part("b", "echo"), naming="plain")
    found = composed(part("a", "echo"), part("b", "echo"), naming="plain", before=before.held)
    assert routes(found) == {"echo": ("conn_b", "echo")}
    assert [w.route.connection for w in found.withheld] == ["conn_a"]


def test_a_virtual_mcp_within_another_is_reached_through_both() -> None:
    """Each applies what it overrides, the outer one first, by the name that the inner one gives."""
    inner = composed(
        part("hub", "echo", overrides={"echo": Override(name="say", pinned={"in": b"1"})})
    )
    selected = ChildRow("vir_a", overrides={"hub_say": Override(pinned={"out": b"2"})})
    outer = compose(
        "vir_b", "prefixed", "tool", [Part("team", selected, [*inner.exposed.values()])]
    )
    (one,) = outer.exposed.values()
    assert (one.name, one.route.connection, one.route.name) == ("team_hub_say", "conn_hub", "echo")
    assert [(s.virtual, s.name) for s in one.route.steps] == [
        ("vir_b", "team_hub_say"), ("vir_a", "hub_say"),
    ]  # fmt: skip
    assert one.route.arguments(b"{}") == b'{"out":2,"in":1}'


@pytest.mark.parametrize("thing", ["resource", "template"])
def test_uris_are_kept(thing: Thing) -> None:
    """A client has them from texts of the child, which nobody rewrites."""
    label = {"resource": "uri", "template": "uriTemplate"}[thing]
    own = of_connection("conn_a", thing, [Raw(json.dumps({label: "file:///a", "name": "A"}))])
    found = compose("vir_a", "prefixed", thing, [Part("a", ChildRow("a"), own)])
    assert json.loads(bytes(found.exposed["file:///a"].raw)) == {label: "file:///a", "name": "A"}


def test_entries_that_are_none_are_left_out() -> None:
    entries = [Raw(b) for b in (b'{"name":"a"}', b'{"name":"a"}', b"{}", b"3", b'{"name":4}')]
    assert [e.name for e in of_connection("conn_a", "tool", entries)] == ["a"]


NAMES = st.text(string.ascii_letters + "_.-", min_size=1, max_size=90)
CHILDREN = st.dictionaries(
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,39}", fullmatch=True),
    st.lists(NAMES, max_size=6, unique=True), max_size=5,
)  # fmt: skip


@given(CHILDREN, st.sampled_from(["prefixed", "plain"]))
def test_every_thing_is_exposed_once_or_withheld(
    children: dict[str, list[str]], naming: Naming
) -> None:
    """Names are short enough, and lead each to another thing."""
    found = composed(*(part(child, *names) for child, names in children.items()), naming=naming)
    assert all(len(name) <= MAX_NAME for name in found.exposed)
    reached = [
        *routes(found).values(),
        *((w.route.connection, w.route.name) for w in found.withheld),
    ]
    everything = [(f"conn_{c}", name) for c, names in children.items() for name in names]
    assert sorted(reached) == sorted(everything)


@given(CHILDREN, st.randoms())
def test_the_order_of_children_changes_no_name(children: dict[str, list[str]], random: Any) -> None:
    """Nor does who else is there: a prefixed name is made of its own child alone."""
    parts = [part(child, *names) for child, names in children.items()]
    before = routes(composed(*parts))
    random.shuffle(parts)
    assert routes(composed(*parts)) == before
    for one in parts:
        assert routes(composed(one)).items() <= before.items()

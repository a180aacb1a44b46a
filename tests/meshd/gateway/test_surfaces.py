"""Every surface that lists or calls, with every kind of key: all give one and the same verdict.

What a surface is says the daemon itself: its paths, its methods, its call table, the tools of
`self`. One that is not walked fails the first tests.
"""

import ast
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import meshd
from meshd.gateway.plain import WORD
from meshd.gateway.sse_clients import WORD as WORD_OF_SSE
from meshd.services import smart_tools
from meshd.services.management import tool_name
from meshd.wire.calls import CALLS
from tests.support import virtuals
from tests.support.command import meshctl
from tests.support.daemon import Daemon
from tests.support.doors import DOORS, HELLO, Guest
from tests.support.surfaces import SMART, SURFACES, Thing, Visit
from tests.support.tenants import Tenant
from tests.support.upstream import result, tool, upstream
from tests.support.wait import until

MESHD = Path(meshd.__file__).parent
METHOD = re.compile(r"(?!notifications|meshctl|application|text)[a-z]+(/[a-zA-Z]+)+")

PATHS = {
    "/mcp": "the doors", "/mcp/": "the doors", WORD_OF_SSE: "a door", WORD: "a surface",
    "/v1/": "the call table", "/openapi.json": "the call table, and nothing that anybody has",
    "/events/": "takes events, and calls nothing; who hears of them is subscription.add",
    "/hooks/": "the same", "/health": "says that it is well", "/ready": "the same",
    "/metrics": "numbers", "/.well-known": "nothing is there",
    "/memory": "of the socket's owner, for finding faults", "/gc": "the same", "/tasks": "the same",
    "/threads": "the same",
}  # fmt: skip
"""What is walked at each path that the gateway knows."""
GIVE_NOTHING = {
    "logging/setLevel": "sets how much one's own session is told",
    "resources/unsubscribe": "takes away",
    "server/discover": "says what kinds of things there may be",
}
"""Methods that lead to no target."""
NO_CALLS = {
    "virtual.attach": "selects; what is selected is decided about when it is asked for",
    "tool.diff": "whoever holds it looks at what is withheld: test_pinned",
}
"""Calls that name tools, and neither list nor call any."""


def literals(*files: Path) -> Iterator[str]:
    """The strings in their code."""
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_path_of_the_gateway_is_accounted_for() -> None:
    found = literals(*(MESHD / "gateway").glob("*.py"))
    assert {each for each in found if re.fullmatch(r"/[a-z.].*", each)} == PATHS.keys()


def test_every_method_is_walked() -> None:
    """Each that the gateway, or a virtual MCP, has a word for."""
    virtual = (MESHD / "services").glob("virtual_*.py")
    files = (*(MESHD / "gateway").glob("*.py"), *virtual, MESHD / "services/whole_list.py")
    methods = {each for each in literals(*files) if METHOD.fullmatch(each)}
    walked = {name.partition(" ")[0] for name in SURFACES}
    assert methods == {name for name in walked if METHOD.fullmatch(name)} | GIVE_NOTHING.keys()


def test_every_call_that_reaches_a_tool_is_walked() -> None:
    """By itself, and where `self` has it as a tool; so are the three tools of the smart mode."""
    calls = [c for c in CALLS if c.right == "target" or "tool" in c.asks.__struct_fields__]
    wanted = {call.name for call in calls} - NO_CALLS.keys()
    wanted |= {tool_name(call) for call in calls if call.right == "target"}
    wanted |= {*smart_tools.NAMES, WORD}
    assert {name for name in SURFACES if not METHOD.match(name)} == wanted


URI, TEMPLATE = "file:///north/a", "db://north/{table}"
THINGS = [
    Thing("north", "tool", "look"), Thing("north", "tool", "change"),
    Thing("north", "prompt", "greet"), Thing("north", "resource", URI),
    Thing("north", "template", TEMPLATE), Thing("west", "tool", "keep"),
    Thing("west", "tool", "fresh"), Thing("off", "tool", "look"),
]  # fmt: skip
"""`north` is open; `west` is pinned, and its `fresh` not approved; `off` is disabled."""
WITHHELD = frozenset({"west/fresh", "off/look"})
ALL = frozenset(map(str, THINGS)) - WITHHELD
READABLE = ALL - {"north/change", "west/keep"}
NONE: frozenset[str] = frozenset()
RESOURCES = frozenset({f"north/{URI}", f"north/{TEMPLATE}"})
LOOK, GREET = frozenset({"north/look"}), frozenset({"north/greet"})
NORTH = frozenset(name for name in ALL if name.startswith("north/"))

CHILDREN = ["/north", "/west", "/off"]
VIRTUALS = ["/team", f"/team{SMART}", "", SMART]


@dataclass(frozen=True)
class Holder:
    """What a key holds, and what it may at the connections, at `team` and at the default one."""

    allow: list[str]
    children: frozenset[str]
    team: frozenset[str]
    default: frozenset[str]
    reads: bool = False


HOLDERS = {
    "everything": Holder(["*"], ALL, ALL, ALL),
    "the children": Holder(["north", "west", "off"], ALL, ALL, ALL),
    "one child": Holder(["north"], NORTH, NORTH, NORTH),
    "the virtual": Holder(["team"], NONE, ALL, NONE),
    "a tool of the child": Holder(["north/look"], LOOK, LOOK, LOOK),
    "a tool of the virtual": Holder(["team/north_look"], NONE, LOOK, NONE),
    "what is withheld": Holder(["west/fresh", "off/look"], NONE, NONE, NONE),
    "another name": Holder(["team/look", "north/north_look"], NONE, NONE, NONE),
    "resources": Holder(["north/resource:*"], RESOURCES, RESOURCES, RESOURCES),
    "a prompt": Holder(["team/prompt:north_greet"], NONE, GREET, NONE),
    "something else": Holder(["south"], NONE, NONE, NONE),
    "management alone": Holder(["self"], NONE, NONE, NONE),
    "a reader of the virtual": Holder(["team"], NONE, READABLE, NONE, reads=True),
    "a reader": Holder(["*"], READABLE, READABLE, READABLE, reads=True),
}
ON_SELF = ("self/whoami", "self/subscription.add")
"""What a manager holds besides; calls that lead to a target need no grant of their own."""


@contextmanager
def foreign(house: Daemon) -> Iterator[Guest]:
    """Of another org, that is there meanwhile."""
    org = Tenant.made(house, "foreign")
    try:
        yield Guest(house, "stranger", org.add_key("stranger", "*", *ON_SELF), org=org.name)
    finally:
        org.control("DELETE", "/v1/orgs/foreign")


@contextmanager
def expired(house: Daemon) -> Iterator[Guest]:
    guest = Guest(house, "late", house.add_key("late", "*", *ON_SELF, expires="1s"))
    until(lambda: house.tcp("GET", "/v1/whoami", key=guest.secret).status == 401)
    yield guest


@contextmanager
def revoked(house: Daemon) -> Iterator[Guest]:
    guest = Guest(house, "gone", house.add_key("gone", "*", *ON_SELF))
    house.control("DELETE", "/v1/keys/gone")
    yield guest


OUTSIDERS = {"of another org": foreign, "expired": expired, "revoked": revoked}


@pytest.fixture(scope="module")
def house(shared_daemon: Daemon) -> Iterator[Daemon]:
    """The three connections, another one that is down, and `team`, made of them."""
    with ExitStack() as stack:
        north, west, off = (stack.enter_context(upstream()) for _ in range(3))
        north.replies = virtuals.full_replies("north")
        shared_daemon.connect_http("north", north.url)
        west.replies["tools/list"] = result({"tools": [tool("keep")]})
        pinned = {"name": "west", "url": west.url, "trust": "pinned"}
        shared_daemon.control("POST", "/v1/connections", pinned)
        west.replies["tools/list"] = result({"tools": [tool("keep"), tool("fresh")]})
        shared_daemon.control("POST", "/v1/connections/west/test")
        off.replies = virtuals.full_replies("off")
        shared_daemon.connect_http("off", off.url)
        shared_daemon.connect_http("south", "http://127.0.0.1:1/mcp")
        virtuals.make(shared_daemon, "team", "north", "west", "off")
        shared_daemon.control("POST", "/v1/connections/off/disable")
        yield shared_daemon


NOBODY = Holder([], NONE, NONE, NONE)
BESIDE = {"sse", "socket"}
THROUGH_EACH = [
    NOBODY, *(HOLDERS[name] for name in ("everything", "a tool of the virtual", "a reader"))
]  # fmt: skip
"""Whose visits go through these doors as well, which lead to the rooms of the others."""


def _wrong(guest: Guest, manager: Guest, holder: Holder) -> list[tuple[str, ...]]:
    """The surfaces that say something else: door, place, surface, thing."""
    wrong = []
    places = [*((place, holder.children) for place in CHILDREN)]
    places += zip(VIRTUALS, [holder.team, holder.team, holder.default, holder.default], strict=True)
    for door, opens in DOORS.items():
        if door in BESIDE and holder not in THROUGH_EACH:
            continue
        with opens(manager, "/self") as ask_self:
            for place, may in places:
                with opens(guest, place) as ask:
                    visit = Visit(guest, manager, place, door, ask, ask_self)
                    wrong += [
                        (door, place or "/mcp", name, str(thing))
                        for name, surface in SURFACES.items()
                        if surface.stands(visit, virtual=place in VIRTUALS)
                        for thing in _there(surface.kind, place)
                        if surface.walk(visit, thing)
                        != (str(thing) in may and not (surface.writes and holder.reads))
                    ]
    return wrong


def _there(kind: str, place: str) -> list[Thing]:
    """Of a connection its own things, of a virtual MCP all."""
    mine = THINGS if place in VIRTUALS else [t for t in THINGS if place == f"/{t.connection}"]
    return [thing for thing in mine if thing.kind == kind]


@pytest.mark.parametrize("name", HOLDERS)
def test_all_surfaces_agree(house: Daemon, name: str) -> None:
    """What is listed may be used, what is not may not, wherever it is asked for."""
    holder, number = HOLDERS[name], list(HOLDERS).index(name)
    guest, manager = (
        Guest(house, key, house.add_key(key, *allow, read_only=holder.reads))
        for key, allow in (
            (f"k-{number}", holder.allow), (f"m-{number}", [*holder.allow, *ON_SELF]),
        )
    )  # fmt: skip
    assert _wrong(guest, manager, holder) == []


@pytest.mark.parametrize("name", OUTSIDERS)
def test_outsiders_reach_nothing_anywhere(house: Daemon, name: str) -> None:
    """Whatever the key says that it may."""
    with OUTSIDERS[name](house) as guest:
        assert _wrong(guest, guest, NOBODY) == []


def test_the_bridge_is_the_door_on_the_socket(house: Daemon) -> None:
    """`meshctl stdio` lists and calls what its key may, and nothing else."""
    house.add_key("bridged", "west", "north/look")
    for target, listed in {"team": {"north_look", "west_keep"}, "west": {"keep"}}.items():
        name = "north_change" if target == "team" else "fresh"
        asked = [("tools/list", {}), ("tools/call", {"name": name, "arguments": {}})]
        lines = [
            json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
            for number, (method, params) in enumerate([("initialize", HELLO), *asked])
        ]
        ran = meshctl(house, "stdio", target, "--key", "bridged", stdin="\n".join(lines) + "\n")
        said = {one["id"]: one["result"] for one in map(json.loads, ran.out.splitlines())}
        assert {entry["name"] for entry in said[1]["tools"]} == listed
        assert said[2]["isError"]


def test_self_is_no_part_of_the_default_one(house: Daemon) -> None:
    """Management is reached at `/mcp/self` alone, whatever a key holds."""
    guest = Guest(house, "manager", house.add_key("manager", "*", "self"))
    for opens in DOORS.values():
        with opens(guest, "") as ask, opens(guest, "/self") as ask_self:
            names = [entry["name"] for entry in ask("tools/list", {})["result"]["tools"]]
            assert "north_look" in names
            assert not [name for name in names if name.startswith(("self", "KEY_"))]
            answer = ask("tools/call", {"name": "self_KEY_LIST", "arguments": {}})
            assert "error" in answer
            listed = ask_self("tools/list", {})["result"]["tools"]
            assert "KEY_LIST" in [entry["name"] for entry in listed]


def test_nobody_is_asked_for_who_may_nothing_there(house: Daemon) -> None:
    """The grants are looked at before the upstream is."""
    with upstream() as far:
        house.connect_http("far", far.url)
        key, before = house.add_key("near", "north"), len(far.seen)
        for path in ("tools?connection=far", "connections/far/tools/echo"):
            assert house.tcp("GET", f"/v1/{path}", key=key).status == 403
        assert len(far.seen) == before
        house.control("DELETE", "/v1/connections/far")

"""Every surface that lists or calls, with every kind of key: all give one and the same verdict.

The surfaces are those of the policy's tables, of the routes and of the call table; one that is not
walked here fails the first test.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from meshd.gateway import policy
from meshd.gateway.plain import WORD
from meshd.protocol.envelope import NAMED
from meshd.services import smart_tools
from meshd.services.virtual_adapter import LISTED
from meshd.wire.calls import CALLS
from tests.support import virtuals
from tests.support.daemon import Daemon
from tests.support.upstream import upstream
from tests.support.virtuals import ERAS, HANDSHAKE, ask

SMART = "?mode=smart_tool_selection"
URI, TEMPLATE = "file:///north/a", "db://north/{table}"


@dataclass(frozen=True)
class Visit:
    """One key at one place, in the words of one era."""

    daemon: Daemon
    key: str
    place: str
    """What follows `/mcp`: a connection, a virtual MCP, or nothing."""
    era: str

    def name(self, own: str) -> str:
        """What a thing of the connection is called at the place."""
        return own if self.place == "/north" else f"north_{own}"

    def ask(self, method: str, params: Any = None, *, smart: bool = False) -> dict[str, Any]:
        """The JSON-RPC answer."""
        path = self.place + (SMART if smart else "")
        answer = ask(self.daemon, path, method, params, key=self.key, era=self.era)
        return dict(answer.json())

    def listed(self, method: str, member: str, label: str, name: str) -> bool:
        """Whether it is in a list."""
        entries = self.ask(method).get("result", {}).get(member, [])
        return name in [entry[label] for entry in entries]

    def passes(self, method: str, params: Any, *, smart: bool = False) -> bool:
        """Whether a request is not refused."""
        answer = self.ask(method, params, smart=smart)
        return "result" in answer and "isError" not in answer["result"]


Surface = Callable[[Visit, str], bool]
"""Whether the thing of that name of the connection can be seen, or used."""


def _call(visit: Visit, own: str) -> bool:
    return visit.passes("tools/call", {"name": visit.name(own), "arguments": {}})


def _smart_call(visit: Visit, own: str) -> bool:
    asked = {"name": smart_tools.CALL, "arguments": {"name": visit.name(own)}}
    return visit.passes("tools/call", asked, smart=True)


def _found(name: str, arguments: Callable[[str], Any]) -> Surface:
    def found(visit: Visit, own: str) -> bool:
        asked = {"name": name, "arguments": arguments(visit.name(own))}
        answer = visit.ask("tools/call", asked, smart=True)
        text = answer.get("result", {}).get("content", [{}])[0].get("text", "")
        return f'"name":"{visit.name(own)}"' in text

    return found


def _plain(visit: Visit, own: str) -> bool:
    path = f"/mcp{visit.place}{WORD}{visit.name(own)}"
    return visit.daemon.tcp("POST", path, {}, key=visit.key).status == 200


def _completes(ref: str, label: str) -> Surface:
    def completes(visit: Visit, own: str) -> bool:
        name = visit.name(own) if label == "name" else own
        params = {"ref": {"type": ref, label: name}, "argument": {"name": "x", "value": ""}}
        return visit.passes("completion/complete", params)

    return completes


def _control(path: str, method: str) -> Surface:
    def reached(visit: Visit, own: str) -> bool:
        target = {"target": quote(visit.place[1:]), "tool": visit.name(own)}
        body = {"arguments": {}} if method == "POST" else None
        answer = visit.daemon.tcp(method, path.format(**target), body, key=visit.key)
        if "{tool}" in path:
            return answer.status == 200
        return answer.status == 200 and target["tool"] in [t["name"] for t in answer.json()]

    return reached


SURFACES: dict[str, tuple[str, Surface]] = {
    "tools/list": ("tool", lambda v, n: v.listed("tools/list", "tools", "name", v.name(n))),
    "tools/call": ("tool", _call),
    "prompts/list": ("prompt", lambda v, n: v.listed("prompts/list", "prompts", "name", v.name(n))),
    "prompts/get": ("prompt", lambda v, n: v.passes("prompts/get", {"name": v.name(n)})),
    "resources/list": ("resource", lambda v, n: v.listed("resources/list", "resources", "uri", n)),
    "resources/templates/list": (
        "template",
        lambda v, n: v.listed("resources/templates/list", "resourceTemplates", "uriTemplate", n),
    ),
    "resources/read": ("resource", lambda v, n: v.passes("resources/read", {"uri": n})),
    "completion/complete ref/prompt": ("prompt", _completes("ref/prompt", "name")),
    "completion/complete ref/resource": ("template", _completes("ref/resource", "uri")),
    smart_tools.SEARCH: ("tool", _found(smart_tools.SEARCH, lambda n: {"query": n, "limit": 100})),
    smart_tools.DESCRIBE: ("tool", _found(smart_tools.DESCRIBE, lambda n: {"tools": [n]})),
    smart_tools.CALL: ("tool", _smart_call),
    WORD: ("tool", _plain),
    "tool.list": ("tool", _control("/v1/tools?connection={target}", "GET")),
    "tool.show": ("tool", _control("/v1/connections/{target}/tools/{tool}", "GET")),
    "tool.call": ("tool", _control("/v1/connections/{target}/tools/{tool}/call", "POST")),
}
"""By name: the kind of thing that it is about, and how it is walked."""
ELSEWHERE = {
    "resources/subscribe": "a handshake session's: test_virtual_listening",
    "resources/unsubscribe": "takes away, and gives nothing",
}
"""Surfaces whose verdict needs a session, and where that is tested."""


def test_every_surface_is_walked() -> None:
    """Those of the tables that decide, of the routes, and of the calls that reach a target."""
    found = {*policy.LISTS, *NAMED, *policy._BY_URI, *LISTED, "completion/complete"}
    found |= {*smart_tools.NAMES, WORD, *(c.name for c in CALLS if c.right == "target")}
    walked = {name.partition(" ")[0] if name != WORD else name for name in SURFACES}
    assert found == walked | ELSEWHERE.keys()


THINGS = {
    "tool": ["look", "change"], "prompt": ["greet"], "resource": [URI], "template": [TEMPLATE],
}  # fmt: skip
EVERYTHING = frozenset({"look", "change", "greet", URI, TEMPLATE})
NOTHING: frozenset[str] = frozenset()
RESOURCES = frozenset({URI, TEMPLATE})
HOLDERS: dict[str, tuple[list[str], bool, list[frozenset[str]]]] = {
    "everything": (["*"], False, [EVERYTHING, EVERYTHING, EVERYTHING]),
    "the child": (["north"], False, [EVERYTHING, EVERYTHING, EVERYTHING]),
    "the virtual": (["team"], False, [NOTHING, EVERYTHING, NOTHING]),
    "a tool of the child": (["north/look"], False, [frozenset({"look"})] * 3),
    "a tool of the virtual": (["team/north_look"], False, [NOTHING, frozenset({"look"}), NOTHING]),
    "another name": (["team/look", "north/north_look"], False, [NOTHING, NOTHING, NOTHING]),
    "resources": (["north/resource:*"], False, [RESOURCES, RESOURCES, RESOURCES]),
    "a prompt": (["team/prompt:north_greet"], False, [NOTHING, frozenset({"greet"}), NOTHING]),
    "something else": (["south"], False, [NOTHING, NOTHING, NOTHING]),
    "management alone": (["self"], False, [NOTHING, NOTHING, NOTHING]),
    "a reader of the virtual": (["team"], True, [NOTHING, EVERYTHING - {"change"}, NOTHING]),
    "a reader": (["*"], True, [EVERYTHING - {"change"}] * 3),
}
"""By holder: its grants, whether it only reads, and what it may at each of `PLACES`."""
PLACES = ["/north", "/team", ""]


@pytest.fixture(scope="module")
def house(shared_daemon: Daemon) -> Iterator[Daemon]:
    """`north`, with something of every kind, and `team`, made of it."""
    with upstream() as north:
        north.replies = virtuals.full_replies("north")
        shared_daemon.connect_http("north", north.url)
        shared_daemon.connect_http("south", "http://127.0.0.1:1/mcp")
        virtuals.make(shared_daemon, "team", "north")
        yield shared_daemon


def _applies(name: str, place: str, era: str) -> bool:
    """Modes are of virtual MCPs; control calls and plain HTTP know no era, nor the default one."""
    if name in smart_tools.NAMES:
        return place != "/north"
    if name == WORD:
        return era == HANDSHAKE
    return "." not in name or (era == HANDSHAKE and place != "")


@pytest.mark.parametrize("holder", HOLDERS)
def test_all_surfaces_agree(house: Daemon, holder: str) -> None:
    """What is listed may be used, what is not may not, wherever it is asked for."""
    allow, read_only, may = HOLDERS[holder]
    key = house.add_key(f"k-{list(HOLDERS).index(holder)}", *allow, read_only=read_only)
    wrong = []
    for place, allowed in zip(PLACES, may, strict=True):
        for era in ERAS:
            visit = Visit(house, key, place, era)
            wrong += [
                (name, place or "/mcp", era, thing)
                for name, (kind, surface) in SURFACES.items()
                for thing in (THINGS[kind] if _applies(name, place, era) else ())
                if surface(visit, thing) != (thing in allowed)
            ]
    assert wrong == []


def test_self_is_no_part_of_the_default_one(house: Daemon) -> None:
    """Management is reached at `/mcp/self` alone, whatever a key holds."""
    key = house.add_key("manager", "*", "self")
    visit = Visit(house, key, "", HANDSHAKE)
    names = [tool["name"] for tool in visit.ask("tools/list")["result"]["tools"]]
    assert "north_look" in names
    assert not [name for name in names if name.startswith(("self", "KEY_"))]
    assert not visit.passes("tools/call", {"name": "self_KEY_LIST", "arguments": {}})
    listed = Visit(house, key, "/self", HANDSHAKE).ask("tools/list")["result"]["tools"]
    assert "KEY_LIST" in [tool["name"] for tool in listed]

"""Every surface that lists or calls, each as a function that says whether a thing is reached there.

What is a surface is found out in `test_surfaces`, from the daemon's own tables.
"""

import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

from meshd.gateway.plain import WORD
from meshd.services import smart_tools
from tests.support.daemon import Answer, Daemon
from tests.support.doors import DOORS, Ask, Guest
from tests.support.wait import until

SMART = "?mode=smart_tool_selection"
SESSIONS = frozenset(DOORS) - {"stateless"}
"""Doors of the handshake era, which have sessions."""


class Thing(NamedTuple):
    """Something that a connection has; `name` is its own name for it, or its URI."""

    connection: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.connection}/{self.name}"


@dataclass(frozen=True)
class Visit:
    """A guest at a place, come in by one door. `manager` has the same grants, and some on `self`."""

    guest: Guest
    manager: Guest
    place: str
    """What follows `/mcp`: a connection, a virtual MCP, or nothing; perhaps a mode."""
    door: str
    ask: Ask
    ask_self: Ask
    """The same door to `/mcp/self`, as the manager."""

    @property
    def daemon(self) -> Daemon:
        return self.guest.daemon

    @property
    def target(self) -> str:
        """The name of the place; empty for the default one."""
        return self.place.partition("?")[0][1:]

    def name(self, thing: Thing) -> str:
        """What it is called at the place."""
        return thing.name if self.target == thing.connection else f"{thing.connection}_{thing.name}"

    def listed(self, method: str, member: str, label: str, name: str) -> bool:
        """Whether it is in a list."""
        entries = self.ask(method, {}).get("result", {}).get(member, [])
        return name in [entry[label] for entry in entries]

    def passes(self, method: str, params: Any) -> bool:
        """Whether a request is not refused."""
        return _is_done(self.ask(method, params))


Walk = Callable[[Visit, Thing], bool]


@dataclass(frozen=True)
class Surface:
    """What kind of thing it is about, and where it is: at which doors, and kinds of places."""

    kind: str
    walk: Walk
    doors: frozenset[str] = frozenset(DOORS)
    smart: bool | None = False
    """Whether it is of the mode with three tools, or (None) of every mode."""
    named: bool = False
    """Whether the place has to have a name."""
    alone: bool = False
    """Whether the place has to be a connection."""
    writes: bool = False
    """Whether a key that only reads is refused whatever it is about."""

    def stands(self, visit: Visit, *, virtual: bool) -> bool:
        """Whether it is found at the place and the door of a visit."""
        fits = self.smart is None or self.smart == visit.place.endswith(SMART)
        named = bool(visit.target) or not (self.named or self.alone)
        return fits and named and visit.door in self.doors and not (self.alone and virtual)


def _is_done(message: dict[str, Any]) -> bool:
    return "result" in message and not message["result"].get("isError")


def _text(message: dict[str, Any]) -> str:
    return str(message.get("result", {}).get("content", [{}])[0].get("text", ""))


def _list(kind: str, method: str, member: str, label: str, **more: Any) -> Surface:
    def listed(visit: Visit, thing: Thing) -> bool:
        name = visit.name(thing) if label == "name" else thing.name
        return visit.listed(method, member, label, name)

    return Surface(kind, listed, **more)


def _by_name(kind: str, method: str, **more: Any) -> Surface:
    def done(visit: Visit, thing: Thing) -> bool:
        return visit.passes(method, {"name": visit.name(thing)})

    return Surface(kind, done, **more)


def _by_uri(method: str, **more: Any) -> Surface:
    def done(visit: Visit, thing: Thing) -> bool:
        return visit.passes(method, {"uri": thing.name})

    return Surface("resource", done, smart=None, **more)


def _completion(kind: str, ref: str, label: str) -> Surface:
    def completes(visit: Visit, thing: Thing) -> bool:
        name = visit.name(thing) if label == "name" else thing.name
        params = {"ref": {"type": ref, label: name}, "argument": {"name": "x", "value": ""}}
        return visit.passes("completion/complete", params)

    return Surface(kind, completes, smart=None)


def _smart(name: str, arguments: Callable[[str], Any]) -> Surface:
    def found(visit: Visit, thing: Thing) -> bool:
        asked = {"name": name, "arguments": arguments(visit.name(thing))}
        answer = visit.ask("tools/call", asked)
        if name == smart_tools.CALL:
            return _is_done(answer)
        return f'"name":"{visit.name(thing)}"' in _text(answer)

    return Surface("tool", found, smart=True)


def _hears(visit: Visit, thing: Thing) -> bool:
    wanted = {"notifications": {"resourceSubscriptions": [thing.name]}}
    said = visit.ask("subscriptions/listen", wanted).get("params", {}).get("notifications", {})
    return thing.name in said.get("resourceSubscriptions", [])


def _plain(visit: Visit, thing: Thing) -> bool:
    path = f"/mcp/{visit.target}".rstrip("/") + WORD + visit.name(thing)
    return visit.daemon.tcp("POST", path, {}, key=visit.guest.secret).status == 200


def _same(answers: Iterable[bool]) -> bool:
    """What all of them say."""
    (said,) = set(answers)
    return said


def _control(path: str, method: str) -> Surface:
    """A control call, over TCP and on the socket."""

    def reached(visit: Visit, thing: Thing) -> bool:
        target = path.format(target=quote(visit.target), tool=quote(visit.name(thing)))
        body = {"arguments": {}} if method == "POST" else None
        guest = visit.guest
        both = (
            visit.daemon.tcp(method, target, body, key=guest.secret),
            visit.daemon.ask(method, target, body, **guest.named),
        )
        return _same(_holds(answer, visit.name(thing)) for answer in both)

    return Surface("tool", reached, frozenset({"handshake"}), named=True)


def _holds(answer: Answer, name: str) -> bool:
    """Whether a control call was answered, with a list only if the tool is in it."""
    if answer.status != 200:
        return False
    found = answer.json()
    if isinstance(found, list):
        return name in [entry["name"] for entry in found if "withheld" not in entry]
    return "result" not in found or not found["result"].get("isError")


def _of_self(tool: str, *fields: str, **more: Any) -> Surface:
    """The same call as a tool of `self`."""

    def reached(visit: Visit, thing: Thing) -> bool:
        given = {"connection": visit.target, "tool": visit.name(thing), "arguments": {}}
        asked = {"name": tool, "arguments": {name: given[name] for name in fields}}
        answer = visit.ask_self("tools/call", asked)
        if not _is_done(answer):
            return False
        found = json.loads(_text(answer))
        return _holds(Answer(200, {}, json.dumps(found).encode()), visit.name(thing))

    return Surface("tool", reached, named=True, **more)


_count = itertools.count()


def _on_event(visit: Visit, thing: Thing) -> bool:
    """Whether an event can be handed to it by a subscription that the manager makes."""
    daemon, manager = visit.daemon, visit.manager
    kind = f"walk.{next(_count)}"
    asked = {"types": [kind], "connection": visit.target, "tool": thing.name, "arguments": {}}
    made = daemon.tcp("POST", "/v1/subscriptions", asked, key=manager.secret)
    if made.status != 200:
        return False
    try:
        event = daemon.control("POST", "/v1/events", {"type": kind})["id"]
        (tried,) = until(lambda: [
            one for one in daemon.control("GET", f"/v1/deliveries?event={event}")
            if one["ended_at"] or one["error"]
        ])  # fmt: skip
        return bool(tried["state"] == "done")
    finally:
        daemon.control("DELETE", f"/v1/subscriptions/{made.json()['id']}")


SURFACES: dict[str, Surface] = {
    "tools/list": _list("tool", "tools/list", "tools", "name"),
    "tools/call": _by_name("tool", "tools/call"),
    "prompts/list": _list("prompt", "prompts/list", "prompts", "name", smart=None),
    "prompts/get": _by_name("prompt", "prompts/get", smart=None),
    "resources/list": _list("resource", "resources/list", "resources", "uri", smart=None),
    "resources/templates/list": _list(
        "template", "resources/templates/list", "resourceTemplates", "uriTemplate", smart=None
    ),
    "resources/read": _by_uri("resources/read"),
    "resources/subscribe": _by_uri("resources/subscribe", doors=SESSIONS),
    "subscriptions/listen": Surface("resource", _hears, frozenset({"stateless"}), smart=None),
    "completion/complete ref/prompt": _completion("prompt", "ref/prompt", "name"),
    "completion/complete ref/resource": _completion("template", "ref/resource", "uri"),
    smart_tools.SEARCH: _smart(smart_tools.SEARCH, lambda n: {"query": n, "limit": 100}),
    smart_tools.DESCRIBE: _smart(smart_tools.DESCRIBE, lambda n: {"tools": [n]}),
    smart_tools.CALL: _smart(smart_tools.CALL, lambda n: {"name": n}),
    WORD: Surface("tool", _plain, frozenset({"handshake"})),
    "tool.list": _control("/v1/tools?connection={target}", "GET"),
    "tool.show": _control("/v1/connections/{target}/tools/{tool}", "GET"),
    "tool.call": _control("/v1/connections/{target}/tools/{tool}/call", "POST"),
    "TOOL_LIST": _of_self("TOOL_LIST", "connection"),
    "TOOL_SHOW": _of_self("TOOL_SHOW", "connection", "tool"),
    "TOOL_CALL": _of_self("TOOL_CALL", "connection", "tool", "arguments", writes=True),
    "subscription.add": Surface(
        "tool", _on_event, frozenset({"handshake"}), alone=True, writes=True
    ),
}
"""By name; what follows a blank tells apart those of one method."""

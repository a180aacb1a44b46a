"""Two orgs on one daemon: whatever one knows of the other is answered as if it did not exist.

Every id that org A has seen is put into every request that org B can make, and the answer is
compared with that to a random id of the same length: status, headers and body, byte for byte.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from string import Formatter
from typing import Any

import pytest

from meshd.wire.calls import CALLS
from meshd.wire.calls.row import Call
from tests.support.daemon import Answer, Daemon
from tests.support.tenants import Tenant

ALONE = "zebra-quagga"
"""A connection that only A has; far from every name in B, so that nothing suggests one."""
ALONE_TOO = "walrus-numbat"
"""Likewise a virtual MCP."""
INITIALIZE = {
    "protocolVersion": "2025-06-18", "capabilities": {},
    "clientInfo": {"name": "t", "version": "1"},
}  # fmt: skip
SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODIES: dict[str, dict[str, Any]] = {
    "connection.edit": {"bodies": "off"},
    "connection.edit_stdio": {"bodies": "off"},
    "key.add": {"name": "made"},
    "key.edit": {"role": "user"},
    "event.ack": {"connection": "github"},
    "subscription.edit": {"owner": "me"},
    "subscription.sync": {"connection": "github", "subscriptions": []},
    "tool.approve": {"fingerprints": {"echo": None}},
    "tool.call": {"arguments": {}},
    "org.rename": {"name": "taken-over"},
    "virtual.create": {"name": "made"},
    "virtual.edit": {"description": "taken over"},
    "virtual.attach": {"child": "github"},
    "subscription.add": {"types": ["order.*"], "connection": "github"},
    "schedule.edit": {"owner": "me"},
    "webhook.edit": {"owner": "me"},
    "webhook.rotate": {"signing": SIGNING},
    "subscription.add_webhook": {"types": ["order.*"], "webhook": "https://hooks.example/in"},
}
PLACES = {
    "connection", "virtual", "key", "call", "org", "event", "subscription", "delivery", "schedule",
    "webhook",
}  # fmt: skip
"""Fields of requests that name something of an org."""


@dataclass
class Two:
    """Org A with all that it has seen, and B, which has things of the same kinds."""

    a: Tenant
    b: Tenant
    seen: list[str]
    """Ids, and names that B has not."""
    key_a: str
    key_b: str
    session_a: str


@pytest.fixture(scope="module")
def two() -> Iterator[Two]:
    daemon = Daemon.fresh().start()
    a, b = Tenant.made(daemon, "alpha"), Tenant.made(daemon, "beta")
    keys = {}
    for org in (a, b):
        org.connect("github")
        org.control("POST", "/v1/virtuals", {"name": "work", "children": ["github"]})
        keys[org.name] = org.add_key("laptop", "*", "self", "self/key.add", "self/key.rotate")
        params = {"name": "echo", "arguments": {}}
        daemon.rpc("github", "tools/call", params, key=keys[org.name])
        org.control("POST", "/v1/schedules", {"name": "s", "type": "t", "cron": "@yearly"})
        hook = {"name": "h", "signature": "standard", "signing": SIGNING}
        org.control("POST", "/v1/webhooks", hook)
    a.connect(ALONE)
    a.control("POST", "/v1/virtuals", {"name": ALONE_TOO, "children": [ALONE]})
    opened = daemon.rpc("github", "initialize", INITIALIZE, key=keys["alpha"])
    seen = [
        a.id,
        ALONE,
        ALONE_TOO,
        *(row["id"] for row in a.control("GET", "/v1/connections")),
        *(row["id"] for row in a.control("GET", "/v1/virtuals")),
        *(row["id"] for row in a.control("GET", "/v1/keys")),
        *(row["id"] for row in a.control("GET", "/v1/calls")),
        *(row["id"] for row in a.control("GET", "/v1/schedules")),
        *(row["id"] for row in a.control("GET", "/v1/webhooks")),
        *(row["id"] for row in a.lines("/v1/tail/events?follow=false")),
    ]
    yield Two(a, b, seen, keys["alpha"], keys["beta"], opened.headers["mcp-session-id"])
    daemon.remove()


def like(text: str) -> str:
    """Something of the same shape that nobody ever had."""
    head, mark, rest = text.rpartition("_")
    return head + mark + "".join(secrets.choice("0123456789abcdef") for _ in rest)


def shown(answer: Answer, sent: str) -> tuple[int, dict[str, str], bytes]:
    """All of an answer but the time, and what was sent.

    `Connection` tells whether the request's body had arrived by then, which is the network's.
    """
    left_out = {"date", "connection"}
    headers = {name: value for name, value in answer.headers.items() if name not in left_out}
    return answer.status, headers, answer.body.replace(sent.encode(), b"SENT")


def requests(call: Call, wanted: str) -> Iterator[tuple[str, Any]]:
    """Path and body of each way to put something of an org into a call."""
    in_path = [name for _, name, _, _ in Formatter().parse(call.path) if name]
    fields = set(call.asks.__struct_fields__)
    path = call.path.format(**{name: wanted if name in PLACES else "echo" for name in in_path})
    follow = "follow=false" if call.streams else ""
    body = BODIES.get(call.name, {}) if call.method in {"POST", "PATCH"} else None
    if PLACES & set(in_path):
        yield path, body
    if body is not None:
        for name in (fields - set(in_path)) & {"connection", "publisher", "delivery"}:
            yield path, {**body, name: wanted}
    elif places := PLACES & fields - set(in_path):
        yield from ((f"{path}?{name}={wanted}", body) for name in places)
    if "child" in in_path:
        yield call.path.format(virtual="work", child=wanted), body
    elif "child" in fields:
        yield call.path.format(virtual="work"), {**(body or {}), "child": wanted}
    if "children" in fields:
        yield path, {**(body or {}), "children": [wanted]}
    if call.streams and "filter" in fields:
        yield f"{path}?{follow}&filter=id%3D{wanted}&filter=subject%3D{wanted}", body
    if "allow" in fields:
        own = call.path.format(key="laptop")
        yield own, {**({"name": "made"} if not in_path else {}), "allow": [wanted]}
        yield own, {**({"name": "made"} if not in_path else {}), "allow": [f"{wanted}/echo"]}


REPLAYED = [call for call in CALLS if any(True for _ in requests(call, "x"))]


def test_what_names_something_is_replayed() -> None:
    """A new call that names something of an org is part of this, or is said not to be."""
    left = {call.name for call in CALLS} - {call.name for call in REPLAYED}
    assert left == {
        "status", "whoami", "daemon.show", "daemon.stop", "org.list", "org.create",
        "connection.list", "connection.add", "connection.add_stdio", "key.list", "call.tail",
        "event.publish", "event.publish_as", "event.list", "event.stats", "subscription.list",
        "virtual.list", "vault.status", "vault.verify", "vault.unlock", "db.backup", "metrics.read",
        "schedule.list", "schedule.add", "schedule.publish", "webhook.list", "webhook.add",
    }  # fmt: skip


@pytest.mark.parametrize("call", REPLAYED, ids=lambda call: call.name)
def test_with_a_key_every_id_of_another_org_is_a_random_one(two: Two, call: Call) -> None:
    name = f"all-{call.name}".replace(".", "-").replace("_", "-")
    key = two.b.add_key(name, "*", f"self/{call.name}")
    for one in two.seen:
        compare(call, one, lambda path, body: two.b.daemon.tcp(call.method, path, body, key=key))


@pytest.mark.parametrize("call", REPLAYED, ids=lambda call: call.name)
def test_the_owner_in_another_org_finds_nothing_of_this_one(two: Two, call: Call) -> None:
    """The local owner owns both, and yet what is asked in one is answered by that one."""
    for one in two.seen:
        if call.name.startswith("org.") and one == two.a.id:
            continue  # an org itself is the owner's wherever it is asked for
        compare(call, one, lambda path, body: two.b.ask(call.method, path, body))


def compare(call: Call, one: str, ask: Any) -> None:
    other = like(one)
    for (path, body), (path_other, body_other) in zip(
        requests(call, one), requests(call, other), strict=True
    ):
        real, none = ask(path, body), ask(path_other, body_other)
        assert shown(real, one) == shown(none, other), (call.name, path)
        # Whether a key may change another is asked before what it shall be granted.
        expected = {404, 403} if call.name == "key.edit" else {404}
        assert real.status in ({200} if call.streams else expected), real.body


def test_nothing_of_a_was_changed_by_all_that(two: Two) -> None:
    """Runs after the replays: they tried to edit, disable, rotate and remove."""
    names = {row["name"]: row["state"] for row in two.a.control("GET", "/v1/connections")}
    assert names == {"github": "ready", ALONE: "ready"}
    assert [row["name"] for row in two.a.control("GET", "/v1/keys")] == ["laptop"]
    assert two.a.daemon.rpc("github", "tools/list", key=two.key_a).status == 200
    made_of = {
        row["name"]: [child["name"] for child in row["children"]]
        for row in two.a.control("GET", "/v1/virtuals")
    }
    assert made_of == {"work": ["github"], ALONE_TOO: [ALONE]}


OPENING = {"Accept": "application/json, text/event-stream"}
MCP: list[tuple[str, str, Any]] = [
    *(
        ("POST", method, params)
        for method, params in (
            ("initialize", INITIALIZE),
            ("tools/list", {}),
            ("tools/call", {"name": "echo", "arguments": {}}),
            ("resources/read", {"uri": "x://y"}),
            ("ping", {}),
            ("notifications/initialized", {}),
        )
    ),
    ("GET", "", None),
    ("DELETE", "", None),
    ("PUT", "", None),
]


@pytest.mark.parametrize("with_session", [False, True])
@pytest.mark.parametrize(("method", "rpc", "params"), MCP, ids=[f"{m} {r}" for m, r, _ in MCP])
def test_mcp_paths_of_another_org_are_unknown_ones(
    two: Two, method: str, rpc: str, params: Any, *, with_session: bool
) -> None:
    headers = OPENING | ({"Mcp-Session-Id": two.session_a} if with_session else {})
    body = None
    if method == "POST":
        body = {"jsonrpc": "2.0", "id": 1, "method": rpc, "params": params}
    for one in (
        name
        for name in two.seen
        if name in (ALONE, ALONE_TOO) or name.startswith(("conn_", "vir_"))
    ):
        other = like(one)
        for key in (two.key_b, two.b.add_key(f"k-{secrets.token_hex(6)}", "github")):
            real, none = (
                two.a.daemon.tcp(method, f"/mcp/{name}", body, key=key, **headers)
                for name in (one, other)
            )
            assert shown(real, one) == shown(none, other)
            assert real.status == 404
        real, none = (two.b.ask(method, f"/mcp/{name}", body, **headers) for name in (one, other))
        assert shown(real, one) == shown(none, other)
        assert real.status == 404


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_a_session_of_another_org_is_none(two: Two, method: str) -> None:
    """At the connection of the same name, with the other org's key."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"} if method == "POST" else None
    token = two.session_a
    other = token[:-8] + ("A" * 8 if token[-8:] != "A" * 8 else "B" * 8)
    real, none = (
        two.a.daemon.tcp(
            method, "/mcp/github", body, key=two.key_b, **OPENING, **{"Mcp-Session-Id": given}
        )
        for given in (token, other)
    )
    assert shown(real, token) == shown(none, other)
    assert real.status == 404


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_no_route_takes_a_key_into_another_org(two: Two, call: Call) -> None:
    """Also where the key may make every call: naming another org is naming none there is."""
    in_path = [name for _, name, _, _ in Formatter().parse(call.path) if name]
    path = call.path.format(**dict.fromkeys(in_path, "github"))
    for theirs, nobodys in ((two.a.id, like(two.a.id)), ("alpha", "alphx")):
        real, none = (
            two.a.daemon.tcp(call.method, path, key=two.key_b, Meshctl_Org=name)
            for name in (theirs, nobodys)
        )
        assert shown(real, theirs) == shown(none, nobodys)
        assert real.status == 404


def test_a_key_of_another_org_is_no_key_here(two: Two) -> None:
    """On the socket a bridge names the key it acts as, by name or id."""
    mine = two.a.control("GET", "/v1/keys")[0]["id"]
    other = like(mine)
    real, none = (two.b.ask("GET", "/v1/whoami", Meshctl_Key=key) for key in (mine, other))
    assert real.status == 404
    assert shown(real, mine) == shown(none, other)
    assert two.a.ask("GET", "/v1/whoami", Meshctl_Key=mine).json()["org"]["name"] == "alpha"


def test_the_same_names_are_other_things(two: Two) -> None:
    """Both have a connection `github`, a virtual MCP `work` and a key `laptop`; a key lists and calls its own."""
    mine, theirs = (org.control("GET", "/v1/connections/github")["id"] for org in (two.a, two.b))
    assert mine != theirs
    mine, theirs = (org.control("GET", "/v1/virtuals/work")["id"] for org in (two.a, two.b))
    assert mine != theirs
    for org, key in ((two.a, two.key_a), (two.b, two.key_b)):
        who = org.daemon.tcp("GET", "/v1/whoami", key=key).json()
        assert who["org"] == {"id": org.id, "name": org.name}


def test_tails_lists_and_counts_are_of_one_org(two: Two) -> None:
    for org, key in ((two.a, two.key_a), (two.b, two.key_b)):
        events = org.lines("/v1/tail/events?follow=false")
        assert {event["source"] for event in events} == {f"/orgs/{org.id}"}
        over_tcp = org.daemon.tcp("GET", "/v1/tail/events?follow=false&after=0", key=key)
        assert len(over_tcp.body.splitlines()) == len(events)
    calls = {org.name: org.control("GET", "/v1/calls") for org in (two.a, two.b)}
    ids = {name: {call["id"] for call in rows} for name, rows in calls.items()}
    assert len(ids["alpha"]) >= 1
    assert len(ids["beta"]) >= 1
    assert not ids["alpha"] & ids["beta"]
    tailed = {call["id"] for call in two.b.lines("/v1/tail/calls?follow=false")}
    assert tailed == ids["beta"]
    assert two.a.control("GET", "/v1/status")["connections"]["ready"] == 2
    assert two.b.control("GET", "/v1/status")["connections"]["ready"] == 1
    assert two.b.control("GET", "/v1/status")["calls_today"] == len(ids["beta"])


def test_a_key_sees_its_own_org_alone(two: Two) -> None:
    own = two.b.add_key("lister", "self/org.list", "self/org.show")
    found = two.a.daemon.tcp("GET", "/v1/orgs", key=own).json()
    assert [one["name"] for one in found] == ["beta"]
    assert two.a.daemon.tcp("GET", "/v1/orgs/alpha", key=own).status == 404

"""`/mcp/{virtual}` and `/mcp`: what children have under one roof, for clients of both eras."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import virtuals
from tests.support.daemon import Daemon
from tests.support.sdk_client import Mode, sdk_client
from tests.support.upstream import Upstream, result, upstream
from tests.support.virtuals import ERAS, HANDSHAKE, STATELESS, ask, call, listed

TEAM = "/team"


@pytest.fixture(scope="module")
def north() -> Iterator[Upstream]:
    with upstream() as running:
        running.replies = virtuals.full_replies("north")
        yield running


@pytest.fixture(scope="module")
def south() -> Iterator[Upstream]:
    with upstream() as running:
        running.replies = virtuals.full_replies("south")
        yield running


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon, north: Upstream, south: Upstream) -> str:
    """A key for everything; `team` is made of both."""
    shared_daemon.connect_http("north", north.url)
    shared_daemon.connect_http("south", south.url)
    virtuals.make(
        shared_daemon, "team", "north", "south", instructions="Ask north first.",
        description="Both.",
    )  # fmt: skip
    return shared_daemon.add_key("everything")


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("path", [TEAM, ""])
@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("tools", ["north_look", "north_change", "south_look", "south_change"]),
        ("prompts", ["north_greet", "south_greet"]),
        ("resources", ["file:///north/a", "file:///south/a"]),
        ("resourceTemplates", ["db://north/{table}", "db://south/{table}"]),
    ],
)
def test_lists_are_of_all_children(
    shared_daemon: Daemon, key: str, era: str, path: str, what: str, names: list[str]
) -> None:
    """In order, with prefixes where names are names, and without where they are URIs."""
    assert listed(shared_daemon, path, key=key, era=era, what=what) == names


@pytest.mark.parametrize("era", ERAS)
def test_entries_keep_what_is_not_known_here(shared_daemon: Daemon, key: str, era: str) -> None:
    """And bear what the client's era wants of a result."""
    found = ask(shared_daemon, TEAM, "prompts/list", key=key, era=era).json()["result"]
    assert [entry["vendor"] for entry in found["prompts"]] == ["north", "south"]
    stamps = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    assert {k: v for k, v in found.items() if k != "prompts"} == (
        stamps if era == STATELESS else {}
    )


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("method", "params", "sent"),
    [
        ("tools/call", {"name": "south_look", "arguments": {"n": 1.50}}, {"name": "look"}),
        ("prompts/get", {"name": "south_greet"}, {"name": "greet"}),
        ("resources/read", {"uri": "file:///south/a"}, {"uri": "file:///south/a"}),
        ("resources/read", {"uri": "db://south/users"}, {"uri": "db://south/users"}),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "south_greet"}, "argument": {}},
            {"ref": {"type": "ref/prompt", "name": "greet"}},
        ),
        (
            "completion/complete",
            {"ref": {"type": "ref/resource", "uri": "db://south/{table}"}, "argument": {}},
            {"ref": {"type": "ref/resource", "uri": "db://south/{table}"}},
        ),
    ],
)
def test_requests_go_to_the_child_in_its_own_words(
    shared_daemon: Daemon, key: str, north: Upstream, south: Upstream, era: str, method: str,
    params: dict[str, Any], sent: dict[str, Any],
) -> None:  # fmt: skip
    """To it alone, and its answer comes back."""
    listed(shared_daemon, TEAM, key=key)
    before = len(north.of(method)), len(south.of(method))
    answer = ask(shared_daemon, TEAM, method, params, key=key, era=era)
    assert "south" in json.dumps(answer.json()["result"])
    assert (len(north.of(method)), len(south.of(method))) == (before[0], before[1] + 1)
    inside = south.of(method)[-1].message["params"]
    for name, value in sent.items():
        assert inside[name] == value
    assert inside.get("arguments") == params.get("arguments")


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("tools/call", {"name": "look"}, {HANDSHAKE: -32602, STATELESS: -32602}),
        ("prompts/get", {"name": "greet"}, {HANDSHAKE: -32602, STATELESS: -32602}),
        ("resources/read", {"uri": "file:///east/a"}, {HANDSHAKE: -32002, STATELESS: -32602}),
        ("tools/list", {"cursor": "x"}, {HANDSHAKE: -32602, STATELESS: -32602}),
        ("something/else", {}, {HANDSHAKE: -32601, STATELESS: -32601}),
    ],
)
def test_what_leads_nowhere_is_said_so(
    shared_daemon: Daemon, key: str, era: str, method: str, params: Any, code: dict[str, int]
) -> None:
    """A prefix is no way in: names are looked up."""
    answer = ask(shared_daemon, TEAM, method, params, key=key, era=era)
    assert answer.json()["error"]["code"] == code[era]


def test_a_handshake_client_is_welcomed_as_by_one_server(shared_daemon: Daemon, key: str) -> None:
    """With what the children offer together, and the session is good for what follows."""
    listed(shared_daemon, TEAM, key=key, what="prompts")
    asked = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t"}}
    answer = ask(shared_daemon, TEAM, "initialize", asked, key=key)
    said = answer.json()["result"]
    assert (said["protocolVersion"], said["serverInfo"]["name"]) == ("2025-06-18", "team")
    assert said["instructions"] == "Ask north first."
    assert said["capabilities"] == {
        "tools": {"listChanged": True}, "prompts": {"listChanged": True},
        "resources": {"subscribe": True, "listChanged": True}, "completions": {}, "logging": {},
    }  # fmt: skip
    session = answer.headers["mcp-session-id"]
    assert ask(shared_daemon, TEAM, "ping", key=key, Mcp_Session_Id=session).status == 200
    elsewhere = ask(shared_daemon, "", "ping", key=key, Mcp_Session_Id=session)
    assert elsewhere.status == 404


def test_a_stateless_client_discovers_one_server(shared_daemon: Daemon, key: str) -> None:
    said = ask(shared_daemon, TEAM, "server/discover", key=key, era=STATELESS).json()["result"]
    assert said["instructions"] == "Ask north first."
    assert said["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "team"


def test_calls_are_recorded_at_the_child(shared_daemon: Daemon, key: str) -> None:
    """Under the tool's own name, also those that were refused."""
    call(shared_daemon, TEAM, "north_look", {"a": 1}, key=key)
    shared_daemon.add_key("one-tool", "team/north_look")
    narrow = shared_daemon.add_key("one-other-tool", "team/north_look")
    call(shared_daemon, TEAM, "north_change", key=narrow)
    refused, made = shared_daemon.control("GET", "/v1/calls?limit=2")
    assert (made["connection"], made["tool"], made["ok"]) == ("north", "look", True)
    assert (refused["connection"], refused["tool"], refused["ok"]) == ("north", "change", False)


def test_selection_and_overrides(shared_daemon: Daemon, key: str, north: Upstream) -> None:
    """What is not selected is not there; what is hidden is no argument; what is pinned is sent."""
    schema = {"type": "object", "properties": {"q": {}, "lang": {}, "debug": {}}}
    tools = [{"name": "find", "inputSchema": schema}, {"name": "drop", "inputSchema": {}}]
    with upstream() as server:
        server.replies["tools/list"] = result({"tools": tools})
        shared_daemon.connect_http("finder", server.url)
        virtuals.make(shared_daemon, "narrow")
        override = {"name": "search", "pinned": {"lang": "en"}, "hidden": ["debug"]}
        virtuals.attach(
            shared_daemon, "narrow", "finder", tools=["f*"], overrides={"find": override}
        )
        (entry,) = ask(shared_daemon, "/narrow", "tools/list", key=key).json()["result"]["tools"]
        assert (entry["name"], list(entry["inputSchema"]["properties"])) == ("finder_search", ["q"])
        assert "result" in call(shared_daemon, "/narrow", "finder_search", {"q": "x"}, key=key)
        assert server.of("tools/call")[-1].message["params"] == {
            "name": "find", "arguments": {"q": "x", "lang": "en"},
        }  # fmt: skip
        for name, arguments in [
            ("finder_drop", b"{}"), ("finder_find", b"{}"), ("finder_search", b'{"debug":1}'),
            ("finder_search", b'{"lang":"de"}'), ("finder_search", b'{"q":1,"q":2}'),
        ]:  # fmt: skip
            body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%b","arguments":%b}}'
            answer = shared_daemon.tcp(
                "POST", "/mcp/narrow", body % (name.encode(), arguments), key=key
            )
            assert "error" in answer.json()
            assert answer.status == (400 if name == "finder_search" else 200)
        assert len(server.of("tools/call")) == 1


def test_plain_http_calls_by_the_exposed_name(shared_daemon: Daemon, key: str) -> None:
    """At a virtual MCP and at the default one."""
    for path in ("/team", ""):
        answer = shared_daemon.tcp("POST", f"/mcp{path}/call-tool/south_look", {}, key=key)
        assert (answer.status, answer.json()["content"][0]["text"]) == (200, "of south")
        unknown = shared_daemon.tcp("POST", f"/mcp{path}/call-tool/look", {}, key=key)
        assert unknown.status == 404


def test_operators_list_show_and_call_there(shared_daemon: Daemon, key: str) -> None:
    """As at any connection."""
    tools = shared_daemon.control("GET", "/v1/tools?connection=team")
    assert [tool["name"] for tool in tools][:2] == ["north_look", "north_change"]
    assert tools[0]["connection"] == "team"
    shown = shared_daemon.control("GET", "/v1/connections/team/tools/north_look")
    assert shown["read_only"] is True


async def test_the_official_client_works_in_both_eras(shared_daemon: Daemon, key: str) -> None:
    """It lists, calls and reads."""
    for mode in ("legacy", "2026-07-28"):
        chosen: Mode = "legacy" if mode == "legacy" else "2026-07-28"
        async with sdk_client(shared_daemon, "team", key, chosen) as client:
            listed = await client.list_tools()
            assert "north_look" in [tool.name for tool in listed.tools]
            answer = await client.call_tool("north_look", {})
            assert not answer.is_error

"""`/mcp/self`: the control plane as an MCP server, seen by MCP clients and by the command line."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import Any

import jsonschema
import pytest

from meshd.protocol.versions import HANDSHAKE
from meshd.services.access import is_exact
from meshd.services.compat import ADAPTERS
from meshd.wire.calls import CALLS
from tests.support import stdio_server
from tests.support.daemon import Answer, Daemon
from tests.support.sdk_client import Mode, sdk_client

BY_TOOL = {
    call.name.replace(".", "_").upper(): call
    for call in CALLS
    if not call.socket_only and not call.streams
} | {adapter.tool: adapter.call for adapter in ADAPTERS}
TOOLS = BY_TOOL.keys()
SECRET = {call.name.upper().replace(".", "_") for call in CALLS if call.secret}
EXACT = {name for name, call in BY_TOOL.items() if is_exact(call)}
"""Tools that no pattern gives."""


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon) -> str:
    """A key for all of management that patterns give."""
    return shared_daemon.add_key("every", "self")


def listed(daemon: Daemon, key: str) -> list[dict[str, Any]]:
    return list(daemon.rpc("self", "tools/list", key=key).json()["result"]["tools"])


def call(daemon: Daemon, key: str, tool: str, /, **arguments: Any) -> dict[str, Any]:
    """The result of a tool call."""
    answer = daemon.rpc("self", "tools/call", {"name": tool, "arguments": arguments}, key=key)
    assert answer.status == 200, answer.body
    return dict(answer.json()["result"])


def meshctl(daemon: Daemon, *words: str, given: str | None = None) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "meshctl", *words]
    done = subprocess.run(command, env=daemon.environ, capture_output=True, text=True, input=given)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("mode", ["legacy", "auto", "2026-07-28"])
async def test_the_official_client(shared_daemon: Daemon, key: str, mode: Mode) -> None:
    """It lists, calls, and finds every answer to be what the tool's schema says."""
    async with sdk_client(shared_daemon, "self", key, mode) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert tools == TOOLS - EXACT
        assert SECRET <= EXACT
        me = await client.call_tool("WHOAMI", {})
        assert not me.is_error
        assert me.structured_content["name"] == "every"
        assert json.loads(me.content[0].text) == me.structured_content
        keys = await client.call_tool("KEY_LIST", {})
        assert [one["name"] for one in keys.structured_content["result"]].count("every") == 1
        assert json.loads(keys.content[0].text) == keys.structured_content["result"]
        wrong = await client.call_tool("KEY_SHOW", {"key": "nobody"})
        assert wrong.is_error
        assert 'there is no key "nobody"' in wrong.content[0].text


@pytest.mark.parametrize("version", [*HANDSHAKE, "1999-01-01"])
def test_initialize_in_every_version(shared_daemon: Daemon, key: str, version: str) -> None:
    asked = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t"}}
    answer = shared_daemon.rpc("self", "initialize", asked, key=key)
    result = answer.json()["result"]
    assert result["protocolVersion"] == (version if version in HANDSHAKE else HANDSHAKE[-1])
    assert result["capabilities"] == {"tools": {}}
    session = answer.headers["mcp-session-id"]
    assert shared_daemon.rpc("self", "ping", key=key, session=session).json()["result"] == {}


def test_a_session_is_its_key_s_own_and_ends(shared_daemon: Daemon, key: str) -> None:
    """A foreign one is 404, as an ended one; there is no stream, since nothing is ever said."""
    other = shared_daemon.add_key("other-session", "self")
    asked = {"protocolVersion": HANDSHAKE[-1]}
    session = shared_daemon.rpc("self", "initialize", asked, key=key).headers["mcp-session-id"]
    told = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    header = {"Mcp_Session_Id": session}
    assert shared_daemon.tcp("POST", "/mcp/self", told, key=key, **header).status == 202
    assert shared_daemon.rpc("self", "ping", key=other, session=session).status == 404
    assert shared_daemon.tcp("GET", "/mcp/self", key=key, **header).status == 405
    assert shared_daemon.tcp("DELETE", "/mcp/self", key=key, **header).status == 204
    assert shared_daemon.rpc("self", "ping", key=key, session=session).status == 404


def test_every_tool_describes_itself(shared_daemon: Daemon) -> None:
    """Schemas that a validator takes, with an object at their root, and hints that fit the row."""
    exact = (f"self/{BY_TOOL[name].name}" for name in EXACT)
    key = shared_daemon.add_key("exact", "self", *exact)
    tools = {tool["name"]: tool for tool in listed(shared_daemon, key)}
    assert tools.keys() == TOOLS
    for tool in tools.values():
        for schema in (tool["inputSchema"], tool["outputSchema"]):
            jsonschema.Draft202012Validator.check_schema(schema)
            assert schema["type"] == "object"
            for ref in references(schema):
                assert ref.removeprefix("#/$defs/") in schema["$defs"]
        assert tool["inputSchema"]["additionalProperties"] is False
        assert tool["title"]
        assert tool["description"]
    hints = {name: tool["annotations"] for name, tool in tools.items()}
    for name, row in BY_TOOL.items():
        assert hints[name]["readOnlyHint"] == (row.method == "GET")
    destructive = {name for name, found in hints.items() if found["destructiveHint"]}
    assert {"KEY_REVOKE", "KEY_ROTATE", "CONNECTION_REMOVE", "TOOL_CALL"} <= destructive
    assert destructive.isdisjoint({"KEY_LIST", "KEY_ADD", "CONNECTION_ADD", "CONNECTION_TEST"})
    idempotent = {name for name, found in hints.items() if found["idempotentHint"]}
    assert {"KEY_REVOKE", "CONNECTION_ENABLE"} <= idempotent
    assert idempotent.isdisjoint({"KEY_ADD", "KEY_ROTATE", "TOOL_CALL", "CONNECTION_ADD"})


def references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [ref for part in schema for ref in references(part)]
    if not isinstance(schema, dict):
        return []
    own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
    return own + [ref for part in schema.values() for ref in references(part)]


@pytest.mark.parametrize("method", ["initialize", "ping", "tools/list", "tools/call", "nonsense"])
def test_no_grant_at_all_is_403_to_every_method(shared_daemon: Daemon, method: str) -> None:
    """`*` never means `self`; the answer names the command that gives it."""
    name = f"outside-{method.replace('/', '-')}"
    key = shared_daemon.add_key(name, "*")
    answer = shared_daemon.rpc("self", method, {"name": "STATUS"}, key=key)
    assert answer.status == 403
    then = answer.json()["error"]["data"]["next"]
    assert then == f"meshctl key edit {name} --allow self"
    assert shared_daemon.tcp("GET", "/mcp/self", key=key).status == 403
    assert shared_daemon.tcp("DELETE", "/mcp/self", key=key).status == 403


def test_a_denied_call_is_a_result_that_says_what_would_allow_it(shared_daemon: Daemon) -> None:
    """The command it names is the one that works."""
    key = shared_daemon.add_key("narrow", "self/key.list")
    assert [tool["name"] for tool in listed(shared_daemon, key)] == [
        "KEY_LIST", "TOOL_LIST", "TOOL_SHOW", "TOOL_CALL",
    ]  # fmt: skip
    refused = call(shared_daemon, key, "CONNECTION_LIST")
    mark = refused["_meta"]["meshctl/denied"]
    assert refused["isError"] is True
    assert mark["next"] == "meshctl key edit narrow --allow self/connection.list"
    assert mark["rule"] in refused["content"][0]["text"]
    assert mark["next"] in refused["content"][0]["text"]
    code, _, _ = meshctl(shared_daemon, *mark["next"].split()[1:])
    assert code == 0
    assert "isError" not in call(shared_daemon, key, "CONNECTION_LIST")


def test_a_secret_only_for_the_key_that_names_the_call(shared_daemon: Daemon, key: str) -> None:
    """Not by a pattern; and what it answered with is in no record."""
    assert "meshctl/denied" in call(shared_daemon, key, "KEY_ADD", name="made")["_meta"]
    maker = shared_daemon.add_key("maker", "self/key.add", "self/whoami")
    made = call(shared_daemon, maker, "KEY_ADD", name="made", allow=["self/whoami"])
    secret = made["structuredContent"]["key"]
    assert call(shared_daemon, secret, "WHOAMI")["structuredContent"]["name"] == "made"
    shared_daemon.control("GET", "/v1/calls")  # what is queued is written
    for file in (shared_daemon.home / "data").iterdir():
        assert secret.encode() not in file.read_bytes()


def test_errors_are_results_in_the_words_of_the_api(shared_daemon: Daemon, key: str) -> None:
    """Code, sentence, facts and next: byte for byte what `/v1` says."""
    for method, path, tool, arguments in (
        ("GET", "/v1/keys/evry", "KEY_SHOW", {"key": "evry"}),
        ("GET", "/v1/calls?limit=0", "CALL_LIST", {"limit": 0}),
        ("DELETE", "/v1/connections/none", "CONNECTION_REMOVE", {"connection": "none"}),
        ("POST", "/v1/connections", "CONNECTION_ADD", {"name": "self", "url": "http://x"}),
    ):
        body = arguments if method == "POST" else None
        there = shared_daemon.tcp(method, path, body, key=key).json()["error"]
        here = call(shared_daemon, key, tool, **arguments)
        assert here["isError"] is True
        assert here["_meta"]["meshctl/error"] == there
        text = here["content"][0]["text"]
        assert there["message"] in text
        assert all(fact in text for fact in there.get("facts", {}).values())


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("KEY_SHOW", {}), ("KEY_SHOW", {"key": 5}), ("KEY_SHOW", {"key": "a", "more": 1}),
        ("CALL_LIST", {"limit": "5"}), ("KEY_LIST", []), ("KEY_LIST", "x"), ("KEY_LIST", None),
    ],
    ids=str,
)  # fmt: skip
def test_arguments_are_checked(
    shared_daemon: Daemon, key: str, tool: str, arguments: object
) -> None:
    params = {"name": tool, "arguments": arguments}
    result = shared_daemon.rpc("self", "tools/call", params, key=key).json()["result"]
    assert result["_meta"]["meshctl/error"]["code"] == "bad_request"


def test_repeated_arguments_are_refused(shared_daemon: Daemon, key: str) -> None:
    """Which of two counts is nothing to guess about."""
    body = (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"KEY_SHOW",'
        b'"arguments":{"key":"every","key":"narrow"}}}'
    )
    result = shared_daemon.tcp("POST", "/mcp/self", body, key=key).json()["result"]
    assert result["_meta"]["meshctl/error"]["code"] == "bad_request"


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("tools/call", {"name": "NO_SUCH"}, -32602),
        ("tools/call", {"name": "DAEMON_STOP"}, -32602),
        ("tools/call", {"name": "EVENT_TAIL"}, -32602),
        ("tools/call", {"name": "key.list"}, -32602),
        ("tools/call", {}, -32602),
        ("tools/list", {"cursor": "2"}, -32602),
        ("resources/list", {}, -32601),
        ("logging/setLevel", {"level": "info"}, -32601),
    ],
    ids=str,
)
def test_what_is_not_there(
    shared_daemon: Daemon, key: str, method: str, params: dict[str, str], code: int
) -> None:
    """Unknown tools, those for the socket alone, and streams are no tools."""
    answer = shared_daemon.rpc("self", method, params, key=key)
    assert (answer.status, answer.json()["error"]["code"]) == (200, code)


def test_a_change_is_the_same_change_with_the_same_event(shared_daemon: Daemon, key: str) -> None:
    """Made by the key, and written down as by every other way."""
    shared_daemon.add_key("renamed", "self/status")
    call(shared_daemon, key, "KEY_EDIT", key="renamed", name="after", read_only=True)
    assert shared_daemon.control("GET", "/v1/keys/after")["read_only"] is True
    tail = shared_daemon.ask("GET", "/v1/tail/events?follow=false&filter=type%3Dmesh.key.edited")
    last = json.loads(tail.body.splitlines()[-1])
    assert (last["data"]["name"], last["data"]["by"]["name"]) == ("after", "every")


def test_no_key_makes_more_than_itself(shared_daemon: Daemon) -> None:
    """The rule of the service below holds here too, and its denial is marked as one."""
    key = shared_daemon.add_key("modest", "self/key.add")
    refused = call(shared_daemon, key, "KEY_ADD", name="greater", allow=["self"])
    assert "cannot give" in refused["_meta"]["meshctl/denied"]["rule"]


def test_calls_are_recorded(daemon: Daemon) -> None:
    """Under the name `self`; what changes something without its bodies, which may hold secrets."""
    key = daemon.add_key("seen", "self")
    call(daemon, key, "CALL_LIST", limit=5)
    call(daemon, key, "CONNECTION_ADD", name="x", url="nonsense", headers={"X-Odd": "hunter2"})
    call(daemon, key, "KEY_ADD", name="x")
    records = daemon.control("GET", "/v1/calls?connection=self")
    assert [(r["tool"], r["ok"], r["principal"], r["connection"]) for r in records] == [
        ("KEY_ADD", False, "seen", "self"),
        ("CONNECTION_ADD", False, "seen", "self"),
        ("CALL_LIST", True, "seen", "self"),
    ]
    assert records[0]["error"] == "denied: no grant of seen covers key.add"
    added, read = (daemon.control("GET", f"/v1/calls/{r['id']}") for r in records[1:])
    assert (added["arguments"], added["result"]) == (None, None)
    assert read["arguments"] == {"limit": 5}
    with closing(sqlite3.connect(daemon.home / "data" / "calls.db")) as database:
        assert b"hunter2" not in "".join(database.iterdump()).encode()


def test_calls_of_a_tool_within_a_call(shared_daemon: Daemon) -> None:
    """A tool of a connection can be called by its own grant; those of `self` cannot.

    Each layer of them would double what the next has to escape.
    """
    shared_daemon.connect("inner", *stdio_server.command())
    key = shared_daemon.add_key("nested", "self/status", "inner/echo")
    asked = {"connection": "inner", "tool": "echo", "arguments": {"a": 1}}
    inner = call(shared_daemon, key, "TOOL_CALL", **asked)["structuredContent"]["result"]
    assert inner["structuredContent"] == {"value": {"a": 1}}
    refused = call(shared_daemon, key, "TOOL_CALL", **{**asked, "tool": "write"})
    assert refused["_meta"]["meshctl/denied"]["next"].endswith("--allow inner/write")
    for name in ("self", "SELF"):
        again = call(shared_daemon, key, "TOOL_CALL", connection=name, tool="STATUS")
        assert again["_meta"]["meshctl/error"]["code"] == "bad_request"


def test_a_revoked_key_is_401(shared_daemon: Daemon) -> None:
    key = shared_daemon.add_key("gone", "self")
    shared_daemon.control("DELETE", "/v1/keys/gone")
    assert shared_daemon.rpc("self", "tools/list", key=key).status == 401


def test_the_command_line_lists_shows_and_calls(shared_daemon: Daemon) -> None:
    """As it does with the tools of a connection, for the owner at the socket."""
    code, out, _ = meshctl(shared_daemon, "tool", "list", "self", "--json")
    assert code == 0
    assert {tool["name"] for tool in json.loads(out)} == TOOLS - SECRET
    code, out, _ = meshctl(shared_daemon, "tool", "show", "self", "KEY_EDIT")
    assert code == 0
    assert "key=string" in out
    code, out, _ = meshctl(shared_daemon, "tool", "call", "self", "CALL_LIST", "limit=1", "--json")
    assert code == 0
    assert "result" in json.loads(out)["structuredContent"]
    code, out, err = meshctl(shared_daemon, "tool", "call", "self", "KEY_SHOW", "key=nobody")
    assert (code, 'there is no key "nobody"' in out) == (1, True)
    assert "meshctl call show call_" in err
    code, _, err = meshctl(shared_daemon, "tool", "call", "self", "KEY_ADD", "name=x")
    assert code == 4
    assert "next: meshctl key add --help" in err
    code, _, err = meshctl(shared_daemon, "tool", "call", "self", "NO_SUCH")
    assert code == 5


def test_the_bridge_serves_it(shared_daemon: Daemon) -> None:
    """`meshctl stdio self`, as the owner and as a key."""
    shared_daemon.add_key("bridged", "self/status")
    asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}) + "\n"
    for options, expected in (
        ((), TOOLS - SECRET),
        (("--key", "bridged"), {"STATUS", "TOOL_LIST", "TOOL_SHOW", "TOOL_CALL"}),
    ):
        code, out, err = meshctl(shared_daemon, "stdio", "self", *options, given=asked)
        assert code == 0, err
        tools = json.loads(out)["result"]["tools"]
        assert {tool["name"] for tool in tools} == expected


def test_no_other_call_takes_self_for_a_connection(shared_daemon: Daemon) -> None:
    """It is served, but it is none: it cannot be shown, changed or removed."""
    answers: list[Answer] = [
        shared_daemon.ask("GET", "/v1/connections/self"),
        shared_daemon.ask("DELETE", "/v1/connections/self"),
        shared_daemon.ask("POST", "/v1/connections/self/disable"),
    ]
    assert [answer.status for answer in answers] == [404, 404, 404]

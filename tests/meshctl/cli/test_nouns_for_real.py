"""The noun commands as programs, against a real daemon and the example server."""

import json
import subprocess
import sys

import pytest

from tests.support.daemon import Daemon


@pytest.fixture(scope="module")
def meshctl():
    """A function that runs `meshctl …` in the home of a daemon: exit code, stdout, stderr."""
    daemon = Daemon.fresh().start()
    environ = {**daemon.environ, "HOME": str(daemon.home)}

    def run(*words, stdin=""):
        done = subprocess.run(
            [sys.executable, "-m", "meshctl", *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env=environ,
            cwd=daemon.home,
        )
        return done.returncode, done.stdout, done.stderr

    yield run
    daemon.remove()


def test_quickstart_runs_twice(meshctl):
    """Each time the call goes over TCP, is answered, and has its record with its stages."""
    for _ in range(2):
        code, out, err = meshctl("quickstart", "--json")
        shown = json.loads(out)
        assert code == 0, err
        assert shown["tools"] == ["add", "greet", "now"]
        assert shown["result"]["content"] == [{"type": "text", "text": "5"}]
        assert (shown["record"]["principal"], shown["record"]["ok"]) == ("quickstart", True)
        stages = shown["record"]["stages"].values()
        assert sum(stages) == pytest.approx(shown["record"]["duration_ms"], abs=0.1)


def test_calls_and_their_exit_codes(meshctl):
    """A result is 0, the tool's own failure 1, wrong use 2, an unknown name 5."""
    meshctl("quickstart", "--quiet")
    assert meshctl("tool", "call", "example", "add", "a=40", "b=2")[:2] == (0, "42\n")
    assert meshctl("tool", "call", "example", "greet")[0] == 1
    assert meshctl("tool", "call", "example", "add", "a=forty")[0] == 2
    assert meshctl("tool", "call", "elsewhere", "add")[0] == 5
    rows = json.loads(
        meshctl("call", "list", "--connection", "example", "--limit", "2", "--json")[1]
    )
    assert [(row["tool"], row["ok"]) for row in rows] == [("greet", False), ("add", True)]
    lines = meshctl("call", "tail", "--since", "1h", "--no-follow", "--json")[1].splitlines()
    assert [json.loads(line)["id"] for line in lines][-2:] == [rows[1]["id"], rows[0]["id"]]


def test_the_life_of_a_key(meshctl):
    """Issued, changed, revoked; each of it is an event."""
    meshctl("quickstart", "--quiet")
    code, secret, err = meshctl("add-key", "ci", "--allow", "example/add", "--expires", "90d")
    assert code == 0, err
    assert len(secret.split()) == 1
    assert secret.strip() not in err
    assert json.loads(meshctl("key", "edit", "ci", "--read-only", "--json")[1])["read_only"] is True
    assert meshctl("key", "revoke", "ci")[0] == 2
    assert meshctl("key", "revoke", "ci", "--yes")[0] == 0
    words = [
        "event",
        "tail",
        "--since",
        "1h",
        "--no-follow",
        "--json",
        "--filter",
        "type=mesh.key.*",
    ]
    events = [json.loads(line) for line in meshctl(*words)[1].splitlines()]
    about = [event["type"] for event in events if event["data"]["name"] == "ci"]
    assert about == ["mesh.key.added", "mesh.key.edited", "mesh.key.revoked"]


def test_a_paste_with_a_name_that_is_taken(meshctl):
    """The collision is exit 6, and the other server is connected all the same."""
    meshctl("quickstart", "--quiet")
    program = {"command": sys.executable, "args": ["-m", "meshd.example"]}
    pasted = json.dumps({"mcpServers": {"example": program, "second": program}})
    code, out, err = meshctl("connect", "-", stdin=pasted)
    assert (code, out.split()[0]) == (6, "second")
    assert "server: example" in err
    assert meshctl("connection", "remove", "second", "--yes")[0] == 0


def test_the_life_of_a_virtual_mcp(meshctl):
    """Made, narrowed, used by a key, refused where it would contain itself, and taken apart."""
    meshctl("quickstart", "--quiet")
    code, out, err = meshctl("virtual", "create", "work", "example")
    assert code == 0, err
    assert 'virtual MCP "work" of example: 3 tools' in out
    words = ["virtual", "attach", "work", "example", "--tools", "add", "--rename", "add=plus"]
    code, out, err = meshctl(*words, "--pin", "add.b=2", "--json")
    assert code == 0, err
    shown = json.loads(out)
    assert (shown["tools"], shown["children"][0]["tools"]) == (1, ["add"])
    assert shown["children"][0]["overrides"] == {"add": {"name": "plus", "pinned": {"b": 2}}}
    assert "add.b is 2" in meshctl("virtual", "show", "work")[1]
    assert meshctl("virtual", "attach", "work", "work")[0] == 6
    assert meshctl("connect", "work", "http://127.0.0.1:1/mcp")[0] == 6
    assert meshctl("key", "add", "ide", "--allow", "work/example_plus")[0] == 0
    code, _, err = meshctl("connection", "remove", "example", "--yes")
    assert code == 6
    assert "used by: work" in err
    assert "meshctl virtual detach work example" in err
    assert meshctl("virtual", "detach", "work", "example")[0] == 0
    assert meshctl("virtual", "remove", "work", "--yes")[0] == 0
    assert json.loads(meshctl("virtual", "list", "--json")[1]) == []
    assert json.loads(meshctl("key", "show", "ide", "--json")[1])["grants"] == []


def test_a_client_of_the_control_plane(meshctl, tmp_path):
    """What `client install` wrote for self is run as a client does: it looks, and only looks."""
    file = tmp_path / "mcp.json"
    words = ["client", "install", "cursor", "self", "--file", str(file), "--yes", "--quiet"]
    assert meshctl(*words)[0] == 0
    entry = json.loads(file.read_text())["mcpServers"]["self"]
    asks = [
        {"id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25",
         "capabilities": {}, "clientInfo": {"name": "cursor", "version": "1"}}},
        {"method": "notifications/initialized"},
        {"id": 1, "method": "tools/list"},
        {"id": 2, "method": "tools/call", "params": {"name": "KEY_LIST", "arguments": {}}},
        {"id": 3, "method": "tools/call",
         "params": {"name": "KEY_REVOKE", "arguments": {"key": "cursor"}}},
    ]  # fmt: skip
    stdin = "".join(json.dumps({"jsonrpc": "2.0", **ask}) + "\n" for ask in asks)
    code, out, err = meshctl(*entry["args"], stdin=stdin)
    assert (code, err) == (0, "")
    answers = {answer["id"]: answer["result"] for answer in map(json.loads, out.splitlines())}
    tools = {tool["name"] for tool in answers[1]["tools"]}
    assert {"STATUS", "WHOAMI", "CONNECTION_LIST", "CALL_SHOW"} <= tools
    assert {name for name in tools if name.startswith("KEY_")} == {"KEY_LIST", "KEY_SHOW"}
    names = [key["name"] for key in answers[2]["structuredContent"]["result"]]
    assert "cursor" in names
    assert answers[3]["isError"] is True
    assert meshctl("client", "uninstall", "cursor", "--file", str(file), "--yes")[0] == 0
    assert "cursor" not in meshctl("key", "list", "--quiet")[1]

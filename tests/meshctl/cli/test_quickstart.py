"""`meshctl quickstart`: a client's visit over TCP, its record over the socket, and adoption."""

import json
import sys
from contextlib import contextmanager

import pytest

from meshd.wire.connection import ConnectionAdd, ConnectionAddStdio, ConnectionRef
from meshd.wire.errors import Conflict, NotFound
from meshd.wire.key import KeyAdd, KeyEdit, KeyRef
from tests.meshctl.cli.gateway import gateway, polite

EXAMPLE = {
    "id": "conn_1",
    "name": "example",
    "transport": "stdio",
    "command": ["python", "-m", "meshd.example"],
    "state": "ready",
    "tools": 3,
    "created_at": "2026-11-23T14:00:00Z",
}
KEY = {
    "id": "key_1",
    "name": "quickstart",
    "prefix": "mesh_ab12",
    "last_four": "9x2k",
    "permissions": {},
    "grants": ["example"],
    "role": None,
    "owner": "owner",
    "created_at": "2026-11-23T14:00:00Z",
    "key": "mesh_thesecret",
}
RECORD = {
    "id": "call_1",
    "at": "2026-11-23T14:02:11Z",
    "connection": "example",
    "tool": "add",
    "principal": "quickstart",
    "ok": True,
    "duration_ms": 4.5,
}
STAGES = {"receive": 0.2, "decide": 0.1, "upstream": 4.0, "answer": 0.2}


def tools(message):
    """The example server's own answers."""
    method = message and message.get("method")
    if method == "tools/list":
        return polite(message, {"tools": [{"name": "add"}, {"name": "greet"}, {"name": "now"}]})
    if method == "tools/call":
        total = sum(message["params"]["arguments"].values())
        return polite(message, {"content": [{"type": "text", "text": str(total)}]})
    return polite(message)


@pytest.fixture
def daemon(scripted, tmp_path, monkeypatch):
    """A fresh daemon with a gateway; the person has no clients yet and works in an empty folder."""
    monkeypatch.chdir(tmp_path)
    scripted.environ["HOME"] = str(tmp_path)
    state = {"state": "running", "version": "0.1.0", "pid": 1, "uptime_s": 1.0, "socket": "/s"}
    with gateway(tools) as (url, seen):
        scripted.seen = seen
        scripted.answers |= {
            "connection.show": NotFound("no connection"),
            "connection.add_stdio": EXAMPLE,
            "connection.list": [EXAMPLE],
            "key.add": KEY,
            "key.rotate": KEY,
            "key.show": {name: value for name, value in KEY.items() if name != "key"},
            "call.list": [RECORD],
            "call.show": {**RECORD, "stages": STAGES},
            "status": {
                "daemon": state,
                "url": url,
                "org": {"id": "org_1", "name": "default"},
                "connections": {},
                "calls_today": 0,
            },
        }
        yield scripted


def asked(daemon, name):
    """The requests of one call."""
    return [asks for row, asks in daemon.asked if row == name]


def test_the_first_time(daemon):
    """It adds the example, issues a key for it alone, and calls it as any client would."""
    code, out, err = daemon.run("quickstart")
    assert code == 0
    command = [sys.executable, "-m", "meshd.example"]
    assert asked(daemon, "connection.add_stdio") == [
        ConnectionAddStdio(name="example", command=command)
    ]
    assert asked(daemon, "key.add") == [KeyAdd(name="quickstart", allow=["example"])]
    methods = [message and message["method"] for *_, message in daemon.seen]
    assert methods == [
        "initialize",
        "notifications/initialized",
        "tools/list",
        "tools/call",
        None,
    ]
    assert {headers["Authorization"] for _, _, headers, _ in daemon.seen} == {
        "Bearer mesh_thesecret"
    }
    assert {path for _, path, _, _ in daemon.seen} == {"/mcp/example"}
    lines = [line.split() for line in out.splitlines()]
    assert ["tools", "add,", "greet,", "now"] in lines
    assert ["called", "add", "a=2", "b=3"] in lines
    assert ["answer", "5"] in lines
    assert ["upstream", "4.0ms"] in lines
    assert "next: meshctl connect NAME URL" in err
    assert "mesh_thesecret" not in out + err


def test_the_second_time(daemon):
    """What is there is used again: the connection as it is, the key with a new secret."""
    daemon.answers |= {"connection.show": EXAMPLE, "key.add": Conflict("it exists")}
    code, _, err = daemon.run("quickstart")
    assert code == 0
    assert asked(daemon, "key.rotate") == [KeyRef("quickstart")]
    assert asked(daemon, "connection.add_stdio") == []
    assert err.splitlines()[:2] == [
        'found the connection "example"',
        'gave the key "quickstart" a new secret',
    ]


def test_a_connection_of_that_name_that_leads_elsewhere_is_left_alone(daemon):
    """Quickstart calls nothing that it did not connect."""
    other = {**EXAMPLE, "command": ["python", "-m", "mine"]}
    daemon.answers |= {"connection.show": other, "key.add": Conflict("it exists")}
    code, out, err = daemon.run("quickstart")
    assert (code, out) == (6, "")
    assert "next: meshctl connection edit example --name ANOTHER" in err
    assert asked(daemon, "key.rotate") == []


def test_a_key_of_that_name_that_may_do_more_keeps_its_secret(daemon):
    """It is somebody's, who would be locked out."""
    shown = {**daemon.answers["key.show"], "grants": ["example", "github"]}
    daemon.answers |= {
        "connection.show": EXAMPLE,
        "key.add": Conflict("it exists"),
        "key.show": shown,
    }
    assert daemon.run("quickstart")[0] == 6
    assert asked(daemon, "key.rotate") == []


def test_a_key_that_lost_its_grant_gets_it_again(daemon):
    """As when the example connection was removed in between."""
    shown = {**daemon.answers["key.show"], "grants": []}
    daemon.answers |= {"key.add": Conflict("it exists"), "key.show": shown, "key.edit": shown}
    assert daemon.run("quickstart")[0] == 0
    assert asked(daemon, "key.edit") == [KeyEdit(key="quickstart", allow=["example"])]


def test_a_disabled_example_is_served_again(daemon):
    """Otherwise the visit could only fail."""
    daemon.answers["connection.show"] = {**EXAMPLE, "state": "disabled"}
    daemon.answers["connection.enable"] = EXAMPLE
    assert daemon.run("quickstart")[0] == 0
    assert asked(daemon, "connection.enable") == [ConnectionRef("example")]


def test_no_answer_on_tcp_is_a_failure(daemon):
    """There is no short cut over the socket: exit 3, and nothing is shown as done."""
    daemon.answers["status"] = {**daemon.answers["status"], "url": "http://127.0.0.1:1"}
    code, out, err = daemon.run("quickstart")
    assert (code, out) == (3, "")
    assert "error: nothing answers at http://127.0.0.1:1/mcp/example" in err
    assert asked(daemon, "tool.call") == []


def test_json(daemon):
    """One object with what was connected, seen and recorded; no secret."""
    code, out, _ = daemon.run("quickstart", "--json")
    shown = json.loads(out)
    assert code == 0
    assert shown["connection"] == EXAMPLE
    assert shown["record"]["stages"] == STAGES
    assert shown["tools"] == ["add", "greet", "now"]
    assert "mesh_thesecret" not in out


def test_a_call_without_a_record_is_a_failure(daemon):
    """The daemon promises that an answered call is in the next list."""
    daemon.answers["call.list"] = []
    assert daemon.run("quickstart")[0] == 1


@contextmanager
def clients(folder):
    """Cursor with three servers: a good one, one that is connected already, one unfinished."""
    file = folder / ".cursor" / "mcp.json"
    file.parent.mkdir()
    servers = {
        "docs": {"url": "https://docs.example.com/mcp", "headers": {"X-Key": "s3cr3t"}},
        "example": {"command": "uvx", "args": ["other"]},
        "half": {"command": "npx", "args": ["half"], "env": {"TOKEN": "<YOUR_TOKEN>"}},
    }
    file.write_text(json.dumps({"mcpServers": servers}))
    before = file.read_bytes()
    yield
    assert file.read_bytes() == before


def test_adopt(daemon, tmp_path):
    """--adopt connects what can be; the rest is told and is no failure; the undo is printed."""
    docs = {**EXAMPLE, "name": "docs", "transport": "http", "url": "https://docs.example.com/mcp"}
    daemon.answers["connection.add"] = docs
    with clients(tmp_path):
        code, out, err = daemon.run("quickstart", "--adopt")
    assert code == 0
    assert asked(daemon, "connection.add") == [
        ConnectionAdd(name="docs", url="https://docs.example.com/mcp", headers={"X-Key": "s3cr3t"})
    ]
    assert "adopted  docs  undo: meshctl connection remove docs" in err
    assert 'not adopted  half  "half" has placeholders' in err
    assert len(asked(daemon, "connection.add_stdio")) == 1
    assert "s3cr3t" not in out + err


@pytest.mark.parametrize(
    ("words", "terminal", "typed", "adopts", "said"),
    [
        ([], False, "", False, "next: meshctl quickstart --adopt"),
        ([], True, "n\n", False, "next: meshctl quickstart --adopt"),
        ([], True, "y\n", True, "adopted  docs"),
        (["--yes"], True, "", False, "next: meshctl quickstart --adopt"),
        (["--no-adopt"], True, "y\n", False, ""),
    ],
)
def test_adoption_is_asked_for(daemon, tmp_path, *, words, terminal, typed, adopts, said):
    """Only a person at a terminal, or --adopt itself, makes connections of what others have."""
    docs = {**EXAMPLE, "name": "docs", "transport": "http", "url": "https://docs.example.com/mcp"}
    daemon.answers["connection.add"] = docs
    with clients(tmp_path):
        code, _, err = daemon.run("quickstart", *words, terminal=terminal, stdin=typed)
    assert code == 0
    assert bool(asked(daemon, "connection.add")) is adopts
    assert said in err
    assert ("found  docs" in err) is (words != ["--no-adopt"])


def test_the_same_server_in_two_clients_is_adopted_once(daemon, tmp_path):
    """Where it was written down makes no difference between two equal ones."""
    server = {"mcpServers": {"docs": {"url": "https://docs.example.com/mcp"}}}
    (tmp_path / ".cursor").mkdir()
    (tmp_path / ".cursor" / "mcp.json").write_text(json.dumps(server))
    (tmp_path / ".claude.json").write_text(json.dumps(server))
    docs = {**EXAMPLE, "name": "docs", "transport": "http", "url": "https://docs.example.com/mcp"}
    daemon.answers["connection.add"] = docs
    daemon.run("quickstart", "--adopt")
    assert len(asked(daemon, "connection.add")) == 1

"""`meshctl connect -`: what somebody copied from a README, connected."""

import json

import pytest

from meshd.wire.connection import ConnectionAdd, ConnectionAddStdio
from meshd.wire.errors import BadRequest, Conflict

SERVERS = {
    "mcpServers": {
        "docs": {
            "url": "https://docs.example.com/mcp",
            "headers": {"Authorization": "Bearer s3cr3t"},
        },
        "clock": {"command": "uvx", "args": ["mcp-server-time"], "env": {"TZ": "UTC"}},
    }
}
DOCS = ConnectionAdd(
    name="docs", url="https://docs.example.com/mcp", headers={"Authorization": "Bearer s3cr3t"}
)
CLOCK = ConnectionAddStdio(name="clock", command=["uvx", "mcp-server-time"], env={"TZ": "UTC"})


def added(request):
    """The connection that an add answers with."""
    common = {"id": "conn_1", "name": request.name, "state": "ready", "tools": 1, "created_at": "x"}
    if isinstance(request, ConnectionAdd):
        return {**common, "transport": "http", "url": request.url}
    return {**common, "transport": "stdio", "command": request.command}


@pytest.fixture
def daemon(scripted):
    """A daemon that takes every server."""
    scripted.answers |= {"connection.add": added, "connection.add_stdio": added}
    return scripted


def test_every_server_of_a_paste(daemon):
    """Each is added under its own name, secrets and all, and none of them is printed."""
    code, out, err = daemon.run("connect", "-", stdin=json.dumps(SERVERS))
    assert code == 0
    assert [asks for _, asks in daemon.asked] == [DOCS, CLOCK]
    assert [line.split()[0] for line in out.splitlines() if line[0] != " "] == ["docs", "clock"]
    assert err.splitlines()[-1] == "next: meshctl add-key NAME"
    assert "s3cr3t" not in out + err


def test_the_bodies_option_holds_for_all(daemon):
    """An option that means something for a paste reaches every server of it."""
    daemon.run("connect", "-", "--bodies", "off", stdin=json.dumps(SERVERS))
    assert {asks.bodies for _, asks in daemon.asked} == {"off"}


def test_json_is_an_array(daemon):
    """However many servers a paste holds, its answer has one shape."""
    code, out, _ = daemon.run("connect", "-", "--json", stdin="https://docs.example.com/mcp")
    assert (code, [item["name"] for item in json.loads(out)]) == (0, ["example"])


def test_a_collision_is_said_and_the_rest_is_done(daemon):
    """The exit code is the first failure's; the error names the server."""
    daemon.answers["connection.add"] = Conflict('connection "docs" exists')
    code, out, err = daemon.run("connect", "-", stdin=json.dumps(SERVERS))
    assert (code, out.split()[0]) == (6, "clock")
    assert err.startswith('error: connection "docs" exists\n  server: docs\n')
    code, out, _ = daemon.run("connect", "-", "--json", stdin=json.dumps(SERVERS))
    assert (code, [item["name"] for item in json.loads(out)]) == (6, ["clock"])


def test_every_failure_is_said(daemon):
    """The first one gives the exit code, and hides none of the others."""
    daemon.answers["connection.add"] = Conflict("the first")
    daemon.answers["connection.add_stdio"] = BadRequest("the second")
    code, out, err = daemon.run("connect", "-", stdin=json.dumps(SERVERS))
    assert (code, out) == (6, "")
    assert ("the first" in err, "the second" in err) == (True, True)


def test_a_server_of_the_transport_before(daemon):
    """It is a URL as any other."""
    pasted = {"mcpServers": {"x": {"type": "sse", "url": "https://x.example/sse"}}}
    assert daemon.run("connect", "-", stdin=json.dumps(pasted))[0] == 0
    assert [asks for _, asks in daemon.asked] == [
        ConnectionAdd(name="x", url="https://x.example/sse")
    ]


def test_a_server_that_cannot_be_added_as_it_is(daemon):
    """It is refused with the next step; the other one is added all the same."""
    server = {"url": "https://x.example/mcp", "headers": {"Authorization": "Bearer <YOUR_TOKEN>"}}
    sentence = '"x" has placeholders that wait for values'
    pasted = {"mcpServers": {"x": server, "clock": SERVERS["mcpServers"]["clock"]}}
    code, out, err = daemon.run("connect", "-", stdin=json.dumps(pasted))
    assert (code, out.split()[0]) == (2, "clock")
    assert sentence in err
    assert "next: " in err


def test_a_name_for_the_one_server(daemon):
    """`connect NAME -` takes the paste's only server under that name."""
    paste = "claude mcp add --transport http docs https://docs.example.com/mcp"
    code, out, _ = daemon.run("connect", "papers", "-", stdin=paste)
    assert (code, out.split()[0]) == (0, "papers")
    assert [asks for _, asks in daemon.asked] == [
        ConnectionAdd(name="papers", url="https://docs.example.com/mcp")
    ]


def test_a_name_for_several_servers_is_refused(daemon):
    """Which one it would be is not guessed."""
    code, _, err = daemon.run("connect", "papers", "-", stdin=json.dumps(SERVERS))
    assert (code, daemon.asked) == (2, [])
    assert "servers: docs, clock\nnext: meshctl connect -" in err


def test_a_paste_of_nothing(daemon):
    """What cannot be read is wrong use, told with what is understood."""
    code, _, err = daemon.run("connect", "-", stdin="")
    assert (code, daemon.asked) == (2, [])
    assert err.startswith("error: the paste is empty\nnext: paste a URL")


@pytest.mark.parametrize("words", [["-"], ["papers", "-"]])
@pytest.mark.parametrize("option", [["--header", "A: b"], ["--env", "A=b"], ["--cwd", "/srv"]])
def test_a_paste_is_not_mixed_with_options(daemon, words, option):
    """An option that would be ignored is refused."""
    code, _, err = daemon.run("connect", *words, *option, stdin=json.dumps(SERVERS))
    assert (code, daemon.asked) == (2, [])
    assert "a paste brings its own" in err

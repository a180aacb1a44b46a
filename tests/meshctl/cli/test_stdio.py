"""`meshctl stdio` as a client runs it: a process with two pipes."""

import json
import subprocess
import sys

import pytest

from tests.meshctl.cli.process import environment, imported, meshctl
from tests.meshctl.client.peer import Peer, answered
from tests.support.wait import until

HELLO = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {}}
WELCOME = b'{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25"}}'


@pytest.fixture
def daemon(home):
    """Greets, and names the tool list to every other request."""

    def answer(request):
        if request.method != "POST":
            return answered(b"", 405)
        message = json.loads(request.body)
        if message["method"] == "initialize":
            return answered(WELCOME, Mcp_Session_Id="s1")
        if "id" not in message:
            return answered(b"", 202)
        return answered(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {}}).encode())

    peer = Peer(home, answer)
    yield peer
    peer.close()


@pytest.mark.parametrize("argv", [("github",), ("github", "--key", "ci"), ("--key=ci", "github")])
def test_a_conversation(home, daemon, argv):
    """One line in, one line out, nothing else; the key is named; the end of stdin is success."""
    lines = [HELLO, {"jsonrpc": "2.0", "method": "notifications/initialized"}]
    lines += [{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}]
    ran = meshctl("stdio", *argv, home=home, stdin="".join(json.dumps(m) + "\n" for m in lines))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.encode().splitlines() == [WELCOME, b'{"jsonrpc": "2.0", "id": 1, "result": {}}']
    assert {request.target for request in daemon.requests} == {"/mcp/github"}
    keys = {request.headers.get("meshctl-key") for request in daemon.requests}
    assert keys == ({"ci"} if len(argv) > 1 or "=" in argv[0] else {None})
    # The stream for the server's own messages has its thread, so it may come last.
    until(lambda: "DELETE" in {request.method for request in daemon.requests})


def test_the_org_is_named(home, daemon):
    """As for every command."""
    meshctl("stdio", "github", "--org", "acme", home=home, stdin=json.dumps(HELLO) + "\n")
    assert daemon.requests[0].headers["meshctl-org"] == "acme"


def test_without_a_daemon(home):
    """The client is told in its own protocol, and stdin's end is still success."""
    ran = meshctl("stdio", "github", "--no-start", home=home, stdin=json.dumps(HELLO) + "\n")
    assert (ran.code, ran.err) == (0, "")
    answer = json.loads(ran.out)
    assert answer["id"] == 0
    assert answer["error"]["message"] == "meshd is not running (next: meshctl daemon start)"


def test_the_daemon_is_started(fake_meshd):
    """By the first message that finds it down; what it then says is carried."""
    ran = meshctl("stdio", "github", home=fake_meshd, stdin=json.dumps(HELLO) + "\n")
    assert ran.code == 0
    assert json.loads(ran.out)["id"] == 0
    assert meshctl("status", "--quiet", home=fake_meshd).out == "running\n"


def test_a_client_that_is_gone(home, daemon):
    """A closed stdout is an end like that of stdin: the session is ended, nothing is said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "meshctl", "stdio", "github"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(home),
    )
    process.stdout.close()
    process.stdin.write(json.dumps(HELLO).encode() + b"\n")
    process.stdin.flush()
    errors = process.stderr.read()
    process.stderr.close()
    process.stdin.close()
    assert (process.wait(30), errors) == (0, b"")
    until(lambda: "DELETE" in {request.method for request in daemon.requests})


def test_it_imports_little(home):
    """A client starts one for every server it has."""
    _, modules = imported("stdio", "github", home=home)
    assert "meshctl.client.bridge" in modules
    heavy = {"typer", "msgspec", "rich", "asyncio", "subprocess", "pathlib", "dataclasses"}
    assert modules & heavy == set()


@pytest.mark.parametrize("argv", [(), ("--key",), ("a", "b"), ("a", "--nope")])
def test_wrong_use(home, argv):
    """Typer explains it on stderr; a client never sees a word of it."""
    ran = meshctl("stdio", *argv, home=home)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")

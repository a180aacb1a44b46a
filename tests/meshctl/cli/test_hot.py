"""The fast path: it says exactly what typer's way says, and imports next to nothing."""

import json
import threading
import time

import pytest

from meshd.wire.errors import Denied
from tests.meshctl.cli.process import imported, meshctl
from tests.meshctl.client.peer import Peer, answered, chunked

STATUS = {
    "daemon": {"state": "running", "version": "0.1.0", "pid": 7, "uptime_s": 61.0, "socket": "/s"},
    "url": "http://127.0.0.1:3000",
    "org": {"id": "org_0a1b2c3d4e5f6g7h", "name": "acme"},
    "connections": {"ready": 2, "failing": 1},
    "calls_today": 3,
    "problems": [{"message": 'connection "x" fails', "next": "meshctl connection test x"}],
}
EVENT = {
    "id": "evt_0a1b2c3d4e5f6g7h",
    "type": "mesh.connection.failing",
    "source": "/conn",
    "subject": "slack",
    "time": "2026-11-23T14:02:11Z",
    "data": {"reason": "401 \x1b[31m"},
    "meshseq": 5,
}
HEAVY = {
    "typer",
    "msgspec",
    "rich",
    "asyncio",
    "textual",
    "aiohttp",
    "cryptography",
    "pathlib",
    "subprocess",
}

FORMS = [
    ("status",),
    ("status", "--json"),
    ("--json", "status"),
    ("status", "--quiet"),
    ("status", "--no-color"),
    ("status", "--org", "acme"),
    ("version",),
    ("version", "--json"),
    ("version", "--quiet"),
]


@pytest.fixture
def daemon(home):
    """Answers status and lists, and a stream that ends in an error."""
    goodbye = Denied("no more").body()
    stream = [EVENT, {**EVENT, "meshseq": 6}, goodbye]
    answers = {
        "/v1/status": answered(json.dumps(STATUS).encode()),
        "/v1/keys": answered(b'[{"name": "ci"}, {"name": "a\\nb"}]'),
        "/v1/connections": answered(b'[{"name": "github"}, {"name": "slack"}]'),
        "/v1/tail/events?follow=true": b"".join(
            chunked(*(json.dumps(line).encode() + b"\n" for line in stream))
        ),
    }
    peer = Peer(home, lambda request: answers.get(request.target))  # a probe asks nothing
    peer.answers = answers
    yield peer
    peer.close()


@pytest.fixture
def both(home):
    """A command line by the fast path and by typer's: two processes, two results."""

    def run(*argv):
        return meshctl(*argv, home=home), meshctl(*argv, home=home, PYTHONPATH=str(no_hot))

    no_hot = home.root / "slow"
    no_hot.mkdir()
    # Python imports this module at its start: it takes the fast path away.
    (no_hot / "sitecustomize.py").write_text(
        "from meshctl.cli import hot\nhot.serve = lambda *_: None\n"
    )
    return run


@pytest.mark.parametrize("argv", FORMS, ids=" ".join)
def test_both_ways_say_the_same(daemon, both, argv):
    """stdout, stderr and exit code, for every form that is served fast."""
    fast, slow = both(*argv)
    assert fast == slow
    assert fast.code == 0
    assert fast.out


@pytest.mark.parametrize("argv", FORMS[:6], ids=" ".join)
def test_both_ways_say_the_same_without_a_daemon(both, argv):
    """A stopped daemon is a state with exit code 3."""
    fast, slow = both(*argv)
    assert fast == slow
    assert fast.code == 3


@pytest.mark.parametrize("words", [("tail-events",), ("event", "tail")])
@pytest.mark.parametrize("flags", [(), ("--json",), ("--quiet",)])
def test_both_ways_tail_the_same(daemon, both, words, flags):
    """Events, then the error that ends the stream."""
    fast, slow = both(*words, *flags)
    assert fast == slow
    assert fast.code == 4
    assert len(fast.out.splitlines()) == 2
    assert "no more" in fast.err
    assert "\x1b" not in fast.out


def test_both_ways_fail_the_same(daemon, both):
    """An error of the daemon, as text and as JSON."""
    body = Denied("not you", next="meshctl whoami").body()
    daemon.answers["/v1/status"] = answered(json.dumps(body).encode(), 403)
    for flags in ((), ("--json",)):
        fast, slow = both("status", *flags)
        assert fast == slow
        assert fast.code == 4
        assert "not you" in fast.err


@pytest.mark.parametrize(
    ("kind", "names"), [("key", "ci\n"), ("connection", "github\nslack\n"), ("nonsense", "")]
)
def test_both_ways_name_the_same(daemon, both, kind, names):
    """What completion asks for; a name that would break a line is left out."""
    fast, slow = both("completion", "names", kind)
    assert fast == slow == (0, names, "")


def test_completion_is_silent_and_quick(home):
    """Without a daemon there are no names; with one that does not answer, not for long."""
    assert meshctl("completion", "names", "key", home=home) == (0, "", "")
    released = threading.Event()
    peer = Peer(home, lambda _: released.wait(30) and None)
    before = time.monotonic()
    assert meshctl("completion", "names", "key", home=home) == (0, "", "")
    assert time.monotonic() - before < 10
    released.set()
    peer.close()


def test_status_of_a_stopped_daemon(home):
    """The contract of scripts: exit code 3, one JSON object; in text the command that helps."""
    assert meshctl("status", "--json", home=home) == (3, '{"daemon":{"state":"stopped"}}\n', "")
    assert meshctl("status", home=home) == (3, "meshd is stopped\n", "next: meshctl daemon start\n")


def test_status_json_is_the_wire_type(home, daemon):
    """Nothing is added, nothing is left out."""
    assert json.loads(meshctl("status", "--json", home=home).out) == STATUS


@pytest.mark.parametrize(
    "argv",
    [
        ("status",),
        ("status", "--json"),
        ("version",),
        ("--version",),
        ("tail-events", "--json"),
        ("event", "tail"),
        ("completion", "names", "key"),
    ],
    ids=" ".join,
)
def test_fast_commands_import_nothing_heavy(home, daemon, argv):
    """Each of these modules would cost more than the command may take."""
    code, modules = imported(*argv, home=home)
    assert code == (4 if "tail" in " ".join(argv) else 0)
    assert "meshctl.cli.hot" in modules
    assert modules & HEAVY == set()


@pytest.mark.parametrize(
    "argv",
    [("key", "list", "--help"), ("key", "list", "--no-start"), ("connection", "add", "--help")],
    ids=" ".join,
)
def test_typer_commands_import_their_noun_alone(home, argv):
    """No drawing, no web, no vault; no other noun's commands."""
    code, modules = imported(*argv, home=home)
    assert code in {0, 3}
    assert "typer" in modules
    assert modules & {"rich", "textual", "aiohttp", "cryptography", "asyncio", "mcp"} == set()
    others = {"meshctl.cli.event", "meshctl.cli.daemon", "meshctl.cli.doctor", "meshctl.cli.tool"}
    assert modules & others == set()


def test_the_overview_imports_no_typer(home):
    """It is printed from the table."""
    code, modules = imported("--help", home=home)
    assert code == 0
    assert modules & {"typer", "rich", "msgspec"} == set()

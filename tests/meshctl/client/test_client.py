"""The client against a daemon of bytes: answers, errors, streams, versions."""

import json
import threading

import pytest

from meshctl.client import client as module
from meshctl.client.client import Client
from meshd.wire.calls import call, event, key
from meshd.wire.errors import DaemonDown, Internal, MeshError, NotFound, Unavailable
from meshd.wire.event import EventTail
from meshd.wire.key import KeyAdd, KeyRef
from tests.meshctl.client.peer import answered, chunked


def test_a_call(home, peer):
    """Method, path, body and headers go out; the JSON of the answer comes back."""
    daemon = peer(lambda _: answered(b'{"id": "key_1"}'))
    assert Client(home.socket, org="acme").call(key.ADD, KeyAdd(name="ci")) == {"id": "key_1"}
    (request,) = daemon.requests
    assert (request.method, request.target) == ("POST", "/v1/keys")
    assert json.loads(request.body)["name"] == "ci"
    assert request.headers["meshctl-org"] == "acme"
    assert request.headers["host"] == "meshd"
    assert request.headers["content-type"] == "application/json"
    assert request.headers.keys().isdisjoint({"origin", "referer"})


def test_without_an_org_none_is_named(home, peer):
    """The daemon then takes the only one."""
    daemon = peer(lambda _: answered(b"[]"))
    assert Client(home.socket).get("/v1/keys", {"limit": 5, "after": None}) == []
    assert daemon.requests[0].target == "/v1/keys?limit=5"
    assert "meshctl-org" not in daemon.requests[0].headers


def test_an_error_body_is_raised_as_its_kind(home, peer):
    """Code, sentence, facts and next step survive the socket."""
    wrong = NotFound('no key "x"', facts={"did you mean": "ci"}, next="meshctl key list")
    peer(lambda _: answered(json.dumps(wrong.body()).encode(), 404))
    with pytest.raises(NotFound) as raised:
        Client(home.socket).call(key.SHOW, KeyRef("x"))
    assert raised.value.body() == wrong.body()


@pytest.mark.parametrize("body", [b"<html>", b'{"error": "text"}', b"[]", b""])
def test_an_error_without_a_body_of_ours(home, peer, body):
    """It still is an error, with its status."""
    peer(lambda _: answered(body, 502))
    with pytest.raises(MeshError, match="HTTP 502"):
        Client(home.socket).get("/v1/status")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (answered(b"not json"), Internal),
        (b"not http\r\n\r\n", Internal),
        (b"", DaemonDown),
        (answered(b"{}")[:-1], DaemonDown),
    ],
)
def test_broken_answers(home, peer, answer, kind):
    """A cut one is a daemon that went away; nonsense is a fault."""
    peer(lambda _: answer)
    with pytest.raises(kind):
        Client(home.socket).get("/v1/status")


def test_a_silent_daemon(home, peer):
    """Waiting has an end, which is told from a daemon that is down."""
    released = threading.Event()
    peer(lambda _: released.wait(5) and None)
    with pytest.raises(Unavailable, match=r"within 0\.05 s"):
        Client(home.socket, timeout=0.05).get("/v1/status")
    with pytest.raises(Unavailable, match=r"within 0\.06 s"):
        Client(home.socket).call(key.LIST, timeout=0.06)
    released.set()


def test_another_version_is_warned_about_once(home, peer):
    """Once a client, with the command that helps; the own version is no news."""
    versions = iter(["0.1.0", "9.9.9", "9.9.9"])
    peer(lambda _: answered(b"{}", Meshctl_Version=next(versions)))
    said = []
    client = Client(home.socket, warn=said.append)
    for _ in range(3):
        client.get("/v1/status")
    assert len(said) == 1
    assert "9.9.9" in said[0]
    assert "meshctl daemon restart" in said[0]


def test_a_stream(home, peer):
    """One item a line however it is cut; None when it stands, and for heartbeats."""
    daemon = peer(lambda _: chunked(b'{"meshseq": 1}\n\n{"mesh', b'seq": 2}\n', b"\n"))
    items = list(Client(home.socket).stream(event.TAIL, EventTail(after=0)))
    assert items == [None, {"meshseq": 1}, None, {"meshseq": 2}, None]
    assert daemon.requests[0].target == "/v1/tail/events?after=0&follow=true"


def test_a_stream_stands_before_its_first_item(home, peer):
    """The first None does not wait for anything to happen."""
    released = threading.Event()
    peer(lambda _: chunked(lambda: released.wait(5)))
    stream = Client(home.socket).stream(event.TAIL)
    assert next(stream) is None
    released.set()
    assert list(stream) == []


def test_the_last_line_may_be_an_error(home, peer):
    """An error ends the stream as its kind; a record with an error is an item."""
    failed = {"id": "call_1", "error": "it failed", "seq": 1}
    goodbye = {"error": {"code": "unavailable", "message": "meshd stops"}}
    peer(
        lambda _: chunked(
            json.dumps(failed).encode() + b"\n" + json.dumps(goodbye).encode() + b"\n"
        )
    )
    stream = Client(home.socket).stream(call.TAIL)
    assert [next(stream), next(stream)] == [None, failed]
    with pytest.raises(Unavailable, match="meshd stops"):
        next(stream)


@pytest.mark.parametrize(
    ("pieces", "end", "kind"),
    [
        ((b'{"a": 1}\n',), False, DaemonDown),
        ((b'{"a": 1}\n{"a"',), True, DaemonDown),
        ((b'{"a": 1}\nnonsense\n',), True, Internal),
        ((b'{"a": 1}\n[1]\n',), True, Internal),
    ],
)
def test_broken_streams(home, peer, pieces, end, kind):
    """What came whole is given; then the kind of the end."""
    peer(lambda _: chunked(*pieces, end=end))
    stream = Client(home.socket).stream(event.TAIL)
    assert [next(stream), next(stream)] == [None, {"a": 1}]
    with pytest.raises(kind):
        next(stream)


def test_a_refused_stream(home, peer):
    """An error status is raised before any item."""
    peer(lambda _: answered(json.dumps(NotFound("no org").body()).encode(), 404))
    with pytest.raises(NotFound, match="no org"):
        next(Client(home.socket).stream(event.TAIL))


def test_silence_kills_a_stream(home, peer, monkeypatch):
    """Without heartbeats there is nobody at the other end."""
    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.05)
    released = threading.Event()
    peer(lambda _: chunked(lambda: released.wait(5)))
    stream = Client(home.socket).stream(event.TAIL)
    assert next(stream) is None
    with pytest.raises(DaemonDown):
        next(stream)
    released.set()


def test_raw(home, peer):
    """Any status is an answer, and the connection is the caller's to shut down."""
    daemon = peer(lambda _: answered(b"gone", 404, "text/plain", Mcp_Session_Id="s"))
    opened = []
    with Client(home.socket).raw("POST", "/mcp/x", {"A": "b"}, b"{}", opened=opened.append) as got:
        assert (got.status, got.headers["mcp-session-id"], got.read()) == (404, "s", b"gone")
    assert len(opened) == 1
    assert (daemon.requests[0].headers["a"], daemon.requests[0].body) == ("b", b"{}")

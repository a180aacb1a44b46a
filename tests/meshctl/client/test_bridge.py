"""The bridge between a stdio client and a connection, against a daemon of bytes."""

import json
import queue
import threading

import pytest

from meshctl.client import bridge as module
from meshctl.client import mcp
from meshctl.client.bridge import Bridge, Reviver
from meshctl.client.client import Client
from meshctl.client.mcp import modern_headers
from meshd.wire.errors import DaemonDown, Denied
from tests.meshctl.client.peer import Peer, answered, chunked

HELLO = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}},
}
WELCOME = {"jsonrpc": "2.0", "id": 0, "result": {"protocolVersion": "2025-06-18"}}
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}
EVENTS = "text/event-stream"


def ask(id_, method="tools/list", **params):
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}


def result(id_, **values):
    return {"jsonrpc": "2.0", "id": id_, "result": values}


def event(message, id_=None):
    """One server-sent event."""
    head = f"id: {id_}\n" if id_ else ""
    return f"{head}data: {json.dumps(message) if message else ''}\n\n".encode()


class Daemon:
    """Answers as the daemon does for one connection; a test replaces what it is about."""

    def __init__(self):
        self.sessions = ["s1", "s2"]
        self.live = set()
        self.replies = {}
        self.stream = None

    def __call__(self, request):
        if request.method == "DELETE":
            return answered(b"", 204)
        message = json.loads(request.body) if request.body else {}
        session = request.headers.get("mcp-session-id")
        if message.get("method") == "initialize":
            self.live.add(self.sessions[0])
            return answered(json.dumps(WELCOME).encode(), Mcp_Session_Id=self.sessions.pop(0))
        if session is not None and session not in self.live:
            return answered(b'{"error": {"code": "not_found", "message": "no session"}}', 404)
        if request.method == "GET":
            return self.stream(request) if self.stream else answered(b"{}", 405)
        if not isinstance(message, dict) or "id" not in message or "method" not in message:
            return answered(b"", 202)
        reply = self.replies.get(message["method"])
        if reply is not None:
            return reply(request, message)
        return answered(json.dumps(result(message["id"], method=message["method"])).encode())


class Desk:
    """A client at the bridge: it writes lines and reads messages."""

    def __init__(self, home, daemon, revive=None, key=None):
        self.peer = Peer(home, daemon) if daemon else None
        self._lines = queue.Queue()
        self._written = queue.Queue()
        headers = {"Meshctl-Key": key} if key else {}
        self.bridge = Bridge(
            Client(home.socket, timeout=None),
            "/mcp/github",
            headers,
            revive or Reviver(home, start=False),
            self._written.put,
        )
        lines = iter(self._lines.get, None)
        self._thread = threading.Thread(target=self.bridge.run, args=(lines,))
        self._thread.start()

    def say(self, *messages):
        for message in messages:
            text = message if isinstance(message, bytes) else json.dumps(message).encode()
            self._lines.put(text + b"\n")

    def hear(self):
        line = self._written.get(timeout=10)
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        return json.loads(line)

    def greet(self):
        self.say(HELLO)
        assert self.hear() == WELCOME

    def leave(self):
        """Close stdin and wait for the end; what was written and not heard."""
        self._lines.put(None)
        self._thread.join(20)
        assert not self._thread.is_alive()
        rest = []
        while not self._written.empty():
            rest.append(json.loads(self._written.get()))
        return rest

    def sent(self, method=None):
        """The POSTed messages with their requests."""
        return [
            (json.loads(request.body), request)
            for request in self.peer.requests
            if request.method == "POST" and (method is None or method in request.body.decode())
        ]


@pytest.fixture
def desk(home):
    """Makes a client at a bridge, and takes everything down again."""
    made = []

    def make(daemon=None, **options):
        made.append(Desk(home, daemon, **options))
        return made[-1]

    yield make
    for one in made:
        if one._thread.is_alive():
            one.leave()
        if one.peer:
            one.peer.close()


def test_a_session(desk):
    """Session and version of the initialize answer are sent from then on, and ended at the end."""
    client = desk(Daemon(), key="ci")
    client.greet()
    client.say(READY, ask(1))
    assert client.hear() == result(1, method="tools/list")
    assert client.leave() == []
    first, *later = [request for _, request in client.sent()]
    assert first.headers.keys().isdisjoint({"mcp-session-id", "mcp-protocol-version"})
    for request in (first, *later):
        assert request.target == "/mcp/github"
        assert request.headers["meshctl-key"] == "ci"
        assert request.headers["accept"] == "application/json, text/event-stream"
        assert request.headers["content-type"] == "application/json"
    for request in later:
        assert request.headers["mcp-session-id"] == "s1"
        assert request.headers["mcp-protocol-version"] == "2025-06-18"
    last = client.peer.requests[-1]
    assert (last.method, last.headers["mcp-session-id"]) == ("DELETE", "s1")


def test_bytes_pass_unchanged(desk):
    """What a client and a server say is not rewritten, but for line breaks between values."""
    daemon = Daemon()
    said = b'{"jsonrpc":"2.0","id":"a\\u00e4",\n "result":{"n":1.0,"big":12345678901234567890}}'
    daemon.replies["tools/call"] = lambda *_: answered(said)
    client = desk(daemon)
    line = b'{"jsonrpc":"2.0", "id":"a\\u00e4","method":"tools/call","params":{"x":1.50}}'
    client.say(line)
    assert client._written.get(timeout=10) == said.replace(b"\n", b" ") + b"\n"
    assert client.peer.requests[0].body == line


def test_requests_run_beside_each_other(desk):
    """A slow one holds nobody up."""
    daemon, free = Daemon(), threading.Event()
    daemon.replies["slow"] = lambda _, message: (
        free.wait(10), answered(json.dumps(result(message["id"])).encode()),
    )[1]  # fmt: skip
    client = desk(daemon)
    client.say(ask(1, "slow"), ask(2))
    assert client.hear()["id"] == 2
    free.set()
    assert client.hear() == result(1)


def test_notifications_keep_their_place(desk):
    """What was said before a request arrives before it."""
    client = desk(Daemon())
    client.greet()
    client.say(*({"jsonrpc": "2.0", "method": f"notifications/{n}"} for n in range(20)), ask(1))
    client.hear()
    assert [message.get("method") for message, _ in client.sent()][1:] == [
        *(f"notifications/{n}" for n in range(20)),
        "tools/list",
    ]


def test_an_event_stream_is_carried_message_by_message(desk):
    """Progress comes before the answer does; the server's question goes out, its answer in."""
    daemon, answer_came = Daemon(), threading.Event()
    progress = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}
    question = {"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": {}}

    def reply(_, message):
        wait = lambda: answer_came.wait(10)  # noqa: E731
        return chunked(
            b": ping\n\n", event(progress), event(question), wait, event(result(1)), kind=EVENTS
        )

    def serve(request):
        if b'"result"' in request.body:
            answer_came.set()
        return daemon(request)

    daemon.replies["tools/call"] = reply
    client = desk(serve)
    client.greet()
    client.say(ask(1, "tools/call"))
    assert [client.hear(), client.hear()] == [progress, question]
    client.say(result("q", action="accept"))
    assert client.hear() == result(1)


def test_the_servers_own_stream(desk):
    """After initialized it is opened, and what comes on it is carried."""
    daemon, free = Daemon(), threading.Event()
    changed = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
    daemon.stream = lambda _: chunked(event(changed), lambda: free.wait(10), kind=EVENTS)
    client = desk(daemon)
    client.greet()
    assert "GET" not in [request.method for request in client.peer.requests]
    client.say(READY)
    assert client.hear() == changed
    (opened,) = [request for request in client.peer.requests if request.method == "GET"]
    assert opened.headers["mcp-session-id"] == "s1"
    assert client.leave() == []
    free.set()


def test_a_server_without_a_stream_is_asked_once(desk, monkeypatch):
    """405 means that there is none."""
    monkeypatch.setattr(module, "RELISTEN_SECONDS", 0.001)
    refused = threading.Event()
    daemon = Daemon()
    daemon.stream = lambda _: (refused.set(), answered(b"", 405))[1]
    client = desk(daemon)
    client.greet()
    client.say(READY)
    assert refused.wait(10)
    for number in range(5):
        client.say(ask(number))
        client.hear()
    assert [request.method for request in client.peer.requests].count("GET") == 1


def test_a_lost_session_is_opened_again(desk):
    """After the daemon restarted, the client's requests go on as if nothing was."""
    daemon = Daemon()
    client = desk(daemon)
    client.greet()
    client.say(READY, ask(1))
    client.hear()
    daemon.live.clear()
    client.say(ask(2), ask(3))
    assert {client.hear()["id"], client.hear()["id"]} == {2, 3}
    assert [message for message, _ in client.sent("initialize")][-2:] == [HELLO, READY]
    assert len(client.sent('"initialize"')) == 2
    assert client.sent('"id": 2')[-1][1].headers["mcp-session-id"] == "s2"
    assert client.leave() == []


def test_a_session_that_cannot_be_opened_again(desk):
    """It is tried once, and the reason is the answer."""
    daemon = Daemon()
    client = desk(daemon)
    client.greet()
    daemon.live.clear()
    client.peer.answer = lambda _: answered(
        b'{"error": {"code": "not_found", "message": "no connection \\"github\\"", "next": "look"}}',
        404,
    )
    client.say(ask(1))
    answer = client.hear()
    assert answer["id"] == 1
    assert answer["error"]["message"] == 'no connection "github" (next: look)'
    assert len(client.sent('"initialize"')) == 2


def test_a_daemon_that_is_down_is_started(desk, home):
    """And the message that found it down goes out again."""
    revived = []
    client = desk(revive=lambda: (revived.append(1), setattr(client, "peer", Peer(home, Daemon()))))
    client.greet()
    client.say(ask(1))
    assert client.hear()["id"] == 1
    assert revived == [1]


def test_a_daemon_that_stays_down(desk):
    """Every request is answered with what is wrong and what helps."""
    client = desk()
    client.say(HELLO, ask("x"), READY)
    for _ in range(2):
        answer = client.hear()
        assert answer["error"]["code"] == -32603
        assert answer["error"]["message"] == "meshd is not running (next: meshctl daemon start)"
        assert answer["error"]["data"]["code"] == "daemon_down"
        assert answer["id"] in {0, "x"}
    assert client.leave() == []


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            answered(
                json.dumps(Denied("key ci may not", next="meshctl key edit ci").body()).encode(),
                403,
            ),
            "key ci may not (next: meshctl key edit ci)",
        ),
        (answered(b"<html>", 502), "the daemon answered HTTP 502 without an explanation"),
        (answered(b"hello", 200, "text/plain"), "did not answer"),
        (answered(b"{}")[:-1], "did not answer"),
        (b"", "did not answer"),
        (b"".join(chunked(event(result(9)), kind=EVENTS, end=False)), None),
        (b"".join(chunked(b": nothing\n\n", kind=EVENTS)), "ended without a response"),
    ],
)
def test_what_goes_wrong_is_the_answer(desk, answer, text):
    """HTTP errors and broken answers become JSON-RPC errors for the request they belong to."""
    daemon = Daemon()
    daemon.replies["tools/list"] = lambda *_: answer
    client = desk(daemon)
    client.say(ask(9))
    said = client.hear()
    assert said["id"] == 9
    assert text is None or text in said["error"]["message"]
    assert client.leave() == []


def test_an_error_in_jsonrpc_stays_one(desk):
    """Its code is the server's; only a missing id is filled in."""
    wrong = {"jsonrpc": "2.0", "error": {"code": -32022, "message": "no such version"}, "id": None}
    daemon = Daemon()
    daemon.replies["tools/list"] = lambda *_: answered(json.dumps(wrong).encode(), 400)
    client = desk(daemon)
    client.say(ask(4))
    assert client.hear() == {**wrong, "id": 4}


def test_lines_that_are_no_messages(desk):
    """Not JSON is said so; blank lines are nothing; a batch is one request."""
    daemon = Daemon()
    client = desk(lambda _: answered(json.dumps([result(1)]).encode()))
    client.say(b"", b"  ", b"{nonsense")
    assert client.hear()["error"]["code"] == -32700
    client.say(json.dumps([ask(1), READY]).encode())
    assert client.hear() == [result(1)]
    client.peer.answer = lambda _: answered(b"", 400)
    client.say(json.dumps([ask(1), READY, ask(2)]).encode())
    assert [client.hear()["id"], client.hear()["id"]] == [1, 2]
    del daemon


def test_hanging_up_cancels_in_the_stateless_era(desk):
    """The daemon sees the connection close, and nothing is answered."""
    gone = threading.Event()
    daemon = Daemon()
    arrived = threading.Event()

    def reply(request, _):
        arrived.set()
        if request.gone():
            gone.set()

    daemon.replies["tools/call"] = reply
    client = desk(daemon)
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
    client.say(ask(1, "tools/call", name="t", _meta=meta))
    assert arrived.wait(10)
    client.say({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})
    assert gone.wait(10)
    assert client.leave() == []
    assert client.sent("cancelled") == []


def test_a_session_is_told_of_a_cancellation(desk):
    """In the handshake era the notification goes to the server."""
    client = desk(Daemon())
    client.greet()
    client.say(
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}, ask(2)
    )
    client.hear()
    assert len(client.sent("cancelled")) == 1


def test_a_cancelled_request_is_not_answered(desk):
    """Neither where the daemon ends its stream for it (2025-11-25, Cancellation)."""
    arrived, cancelled = threading.Event(), threading.Event()
    daemon = Daemon()

    def reply(_request, _message):
        arrived.set()
        assert cancelled.wait(10)
        return answered(b": \n\n", Content_Type="text/event-stream")

    daemon.replies["tools/call"] = reply
    client = desk(daemon)
    client.greet()
    client.say(ask(1, "tools/call", name="t"))
    assert arrived.wait(10)
    client.say(
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}, ask(2)
    )
    assert client.hear()["id"] == 2
    cancelled.set()
    assert client.leave() == []


def test_an_answer_is_resumed(desk, monkeypatch):
    """Where the server hangs up early, its stream goes on behind the last event."""
    monkeypatch.setattr(mcp, "RESUME_SECONDS", 0.0)
    daemon = Daemon()
    progress = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}
    daemon.replies["tools/call"] = lambda *_: chunked(
        event("", "e1"), event(progress, "e2"), kind=EVENTS
    )
    daemon.stream = lambda _: chunked(event(result(1), "e3"), kind=EVENTS)
    client = desk(daemon)
    client.greet()
    client.say(ask(1, "tools/call"))
    assert [client.hear(), client.hear()] == [progress, result(1)]
    (resumed,) = [request for request in client.peer.requests if request.method == "GET"]
    assert resumed.headers["last-event-id"] == "e2"


def test_resuming_has_an_end(desk, monkeypatch):
    """A server that never brings the response is given up."""
    monkeypatch.setattr(mcp, "RESUME_SECONDS", 0.0)
    daemon = Daemon()
    daemon.replies["tools/call"] = lambda *_: chunked(event("", "e1"), kind=EVENTS)
    daemon.stream = lambda _: chunked(b": nothing\n\n", kind=EVENTS)
    client = desk(daemon)
    client.greet()
    client.say(ask(1, "tools/call"))
    assert "ended without a response" in client.hear()["error"]["message"]
    gets = [request.method for request in client.peer.requests].count("GET")
    assert gets == mcp.RESUMES


def test_too_many_at_once(desk, monkeypatch):
    """One more than the limit is refused, and the others are served."""
    monkeypatch.setattr(module, "AT_ONCE", 1)
    free, arrived = threading.Event(), threading.Event()
    daemon = Daemon()
    daemon.replies["slow"] = lambda *_: (
        arrived.set(),
        free.wait(10),
        answered(json.dumps(result(1)).encode()),
    )[2]
    client = desk(daemon)
    client.say(ask(1, "slow"))
    assert arrived.wait(10)
    client.say(ask(2))
    assert client.hear()["error"]["message"] == "more than 1 requests at once"
    free.set()
    assert client.hear() == result(1)


def test_the_end_of_stdin_lets_requests_finish(desk):
    """`printf … | meshctl stdio NAME` gets its answers."""
    free = threading.Event()
    daemon = Daemon()
    daemon.replies["slow"] = lambda *_: (free.wait(10), answered(json.dumps(result(1)).encode()))[1]
    client = desk(daemon)
    client.greet()
    client.say(ask(1, "slow"))
    client._lines.put(None)
    free.set()
    assert client.hear() == result(1)
    client._thread.join(10)
    assert client.peer.requests[-1].method == "DELETE"


def test_the_end_of_stdin_does_not_wait_for_ever(desk, monkeypatch):
    """A request that hangs is left behind."""
    monkeypatch.setattr(module, "LAST_SECONDS", 0.05)
    free, arrived = threading.Event(), threading.Event()
    daemon = Daemon()
    daemon.replies["slow"] = lambda *_: (arrived.set(), free.wait(10), b"")[2]
    client = desk(daemon)
    client.say(ask(1, "slow"))
    assert arrived.wait(10)
    client._lines.put(None)
    client._thread.join(5)
    assert not client._thread.is_alive()
    free.set()


VERSION = "io.modelcontextprotocol/protocolVersion"


@pytest.mark.parametrize(
    ("message", "headers"),
    [
        (ask(1), {}),
        (READY, {}),
        ({}, {}),
        ({"method": "x", "params": [1]}, {}),
        ({"method": "x", "params": {"_meta": []}}, {}),
        ({"method": "x", "params": {"_meta": {VERSION: 7}}}, {}),
        (
            ask(1, "tools/list", _meta={VERSION: "2026-07-28"}),
            {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"},
        ),
        (
            ask(1, "tools/call", name="echo", _meta={VERSION: "2026-07-28"}),
            {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "echo"},
        ),
        (
            ask(1, "resources/read", uri="file:///ü", _meta={VERSION: "2026-07-28"}),
            {
                "MCP-Protocol-Version": "2026-07-28",
                "Mcp-Method": "resources/read",
                "Mcp-Name": "=?base64?ZmlsZTovLy/DvA==?=",
            },
        ),
        (
            ask(1, "prompts/get", name="a\r\nB: c", _meta={VERSION: "2026-07-28"}),
            {
                "MCP-Protocol-Version": "2026-07-28",
                "Mcp-Method": "prompts/get",
                "Mcp-Name": "=?base64?YQ0KQjogYw==?=",
            },
        ),
    ],
)
def test_headers_of_the_stateless_era(message, headers):
    """They repeat the body; what no header can hold is encoded."""
    assert modern_headers(message) == headers


def test_reviving(home, monkeypatch):
    """It starts the daemon, unless that was forbidden."""
    asked = []
    monkeypatch.setattr("meshctl.client.start.ensure", asked.append)
    Reviver(home, start=True)()
    assert asked == [home]
    with pytest.raises(DaemonDown):
        Reviver(home, start=False)()
    assert asked == [home]

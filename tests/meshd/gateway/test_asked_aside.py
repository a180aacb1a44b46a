"""Questions of a handshake server that come on its stream for what belongs to no request."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from socket import socket
from typing import Any

from tests.support.daemon import Daemon
from tests.support.upstream import WELCOME, Seen, answer, result, tool, upstream, usual_replies
from tests.support.virtuals import STATELESS, ask

CAN = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: open\n\n"


class Asking:
    """A server whose tool `ask` asks beside its answer.

    Calls wait for each other, as many as `together`: before they ask, and before they answer.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.sessions: list[str] = []
        self.together = threading.Barrier(1)
        self._told = threading.Condition()
        self._wires: dict[str, socket] = {}

    def begin(self, seen: Seen, wire: socket) -> None:
        self.sessions.append(f"s{len(self.sessions)}")
        result(WELCOME, f"Mcp-Session-Id: {self.sessions[-1]}")(seen, wire)

    def stream(self, seen: Seen, wire: socket) -> None:
        self._wires[seen.header("Mcp-Session-Id") or ""] = wire
        wire.sendall(STREAM)
        wire.recv(1)

    def call(self, seen: Seen, wire: socket) -> None:
        name, number = f"q-{len(self.answers)}", seen.message["params"]["arguments"]["n"]
        self.together.wait(60)
        question = {"jsonrpc": "2.0", "id": f"{name}-{number}", "method": "elicitation/create",
                    "params": {"message": str(number)}}  # fmt: skip
        beside = self._wires[seen.header("Mcp-Session-Id") or ""]
        beside.sendall(b"data: %b\n\n" % json.dumps(question).encode())
        with self._told:
            assert self._told.wait_for(lambda: question["id"] in self.answers, 60)
        self.together.wait(60)
        said = {"n": number, "said": self.answers[str(question["id"])]}
        result({"content": [{"type": "text", "text": json.dumps(said)}]})(seen, wire)

    def take(self, seen: Seen, wire: socket) -> None:
        with self._told:
            self.answers[seen.message["id"]] = seen.message.get("result") or seen.message["error"]
            self._told.notify_all()
        answer(b"", status="202 Accepted")(seen, wire)


@contextmanager
def asking(daemon: Daemon) -> Iterator[tuple[Asking, str]]:
    """The server behind the connection `north`, and a key."""
    made = Asking()
    with upstream() as north:
        north.replies = usual_replies() | {
            "initialize": made.begin, "GET": made.stream, "tools/call": made.call, "": made.take,
            "tools/list": result({"tools": [tool("ask")]}),
        }  # fmt: skip
        daemon.connect_http("north", north.url)
        try:
            yield made, daemon.add_key("k")
        finally:
            daemon.control("DELETE", "/v1/connections/north")
            daemon.control("DELETE", "/v1/keys/k")


def call(daemon: Daemon, key: str, number: int, **more: Any) -> dict[str, Any]:
    """What a stateless client gets that may be asked."""
    params = {"name": "ask", "arguments": {"n": number}, "_meta": CAN, **more}
    found = ask(daemon, "/north", "tools/call", params, key=key, era=STATELESS).json()
    return dict(found["result"])


def answered(daemon: Daemon, key: str, number: int) -> Any:
    """The whole round: the question that it gets, and what comes of its answer."""
    first = call(daemon, key, number)
    (asked,) = first["inputRequests"].items()
    assert asked[1]["params"]["message"] == str(number)
    given = {asked[0]: {"action": "accept", "content": {"n": number}}}
    last = call(daemon, key, number, inputResponses=given, requestState=first["requestState"])
    return json.loads(last["content"][0]["text"])


def test_it_is_put_to_the_call_that_is_alone(shared_daemon: Daemon) -> None:
    """Whose client answers by repeating its request."""
    with asking(shared_daemon) as (_, key):
        got = answered(shared_daemon, key, 7)
    assert got == {"n": 7, "said": {"action": "accept", "content": {"n": 7}}}


def test_calls_at_once_get_their_own_questions_and_answers(shared_daemon: Daemon) -> None:
    """Once the server was seen to ask so, each of them has a session."""
    with asking(shared_daemon) as (server, key), ThreadPoolExecutor(4) as threads:
        answered(shared_daemon, key, 0)
        server.together = threading.Barrier(4)
        found = list(threads.map(lambda n: answered(shared_daemon, key, n), range(1, 5)))
        assert found == [
            {"n": n, "said": {"action": "accept", "content": {"n": n}}} for n in range(1, 5)
        ]


def test_what_may_be_about_either_call_is_declined(shared_daemon: Daemon) -> None:
    """Before that is known, calls share a session: neither is asked what may be the other's."""
    with asking(shared_daemon) as (server, key), ThreadPoolExecutor(2) as threads:
        server.together = threading.Barrier(2)
        found = list(threads.map(lambda n: call(shared_daemon, key, n), range(2)))
        said = [json.loads(one["content"][0]["text"])["said"] for one in found]
        assert [one["code"] for one in said] == [-32601, -32601]


def test_a_server_without_that_stream_is_asked_for_it_once(shared_daemon: Daemon) -> None:
    with upstream() as north:
        north.replies["GET"] = answer(b"", status="405 Method Not Allowed")
        shared_daemon.connect_http("plain", north.url)
        key = shared_daemon.add_key("other")
        for _ in range(3):
            params = {"name": "echo", "arguments": {}, "_meta": CAN}
            got = ask(shared_daemon, "/plain", "tools/call", params, key=key, era=STATELESS)
            assert got.json()["result"]["content"][0]["text"] == "done"
        assert len(north.of("GET")) == 1
        params["_meta"] = {}
        ask(shared_daemon, "/plain", "tools/call", params, key=key, era=STATELESS)
        assert len(north.of("GET")) == 1

"""What was allowed when a client asked, and is not any more when its turn comes again."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest

from tests.support import virtuals
from tests.support.daemon import Daemon
from tests.support.upstream import Seen, Upstream, answer, result, tool, upstream
from tests.support.virtuals import VERSION, ask

NEEDED = {
    "resultType": "input_required", "requestState": "s",
    "inputRequests": {"q": {"method": "elicitation/create", "params": {"message": "Sure?"}}},
}  # fmt: skip
DONE = {"resultType": "complete", "content": [{"type": "text", "text": "did it"}]}
CAN = {"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}}}


@pytest.fixture
def server() -> Iterator[Upstream]:
    """A stateless server whose tool asks before it does anything."""

    def reply(seen: Seen, wire: Any) -> None:
        result(DONE if "inputResponses" in seen.message["params"] else NEEDED)(seen, wire)

    offer = {"tools": {}, "resources": {"subscribe": True}}
    with upstream() as running:
        running.replies |= {
            "server/discover": result(
                {"resultType": "complete", "supportedVersions": [VERSION], "ttlMs": 0,
                 "cacheScope": "private", "capabilities": offer}
            ),
            "initialize": answer(b"", status="400 Bad Request"),
            "tools/list": result({"tools": [tool("echo")], "resultType": "complete",
                                  "ttlMs": 0, "cacheScope": "private"}),
            "tools/call": reply,
        }  # fmt: skip
        yield running


@contextmanager
def opened(daemon: Daemon, path: str, body: Any, key: str, session: str) -> Iterator[HTTPResponse]:
    """The stream of a client's request, or its own stream where there is no body."""
    names = {
        "Accept": "application/json, text/event-stream", "Content-Type": "application/json",
        "Authorization": f"Bearer {key}", "Mcp-Session-Id": session,
    }  # fmt: skip
    link = HTTPConnection(daemon.url.removeprefix("http://"), timeout=60)
    with closing(link):
        method = "POST" if body else "GET"
        link.request(method, f"/mcp{path}", json.dumps(body) if body else None, names)
        with link.getresponse() as stream:
            yield stream


def heard(stream: HTTPResponse) -> dict[str, Any]:
    """The next message; empty at the end."""
    while line := stream.readline():
        if line.startswith(b"data: "):
            return dict(json.loads(line[6:]))
    return {}


def nothing(_: Daemon) -> None:
    """All stays as it was."""


def narrowed(daemon: Daemon) -> None:
    change = {"allow": ["a/other", "a/resource:file:///b"], "revoke": ["a", "team"]}
    daemon.control("PATCH", "/v1/keys/k", change)


def moved(daemon: Daemon) -> None:
    daemon.control("PATCH", "/v1/connections/a", {"headers": {"X-Team": "blue"}})


def detached(daemon: Daemon) -> None:
    daemon.control("DELETE", "/v1/virtuals/team/children/a")


@pytest.mark.parametrize(
    ("path", "name", "change", "calls"),
    [
        ("/a", "echo", nothing, 2),
        ("/a", "echo", narrowed, 1),
        ("/a", "echo", moved, 1),
        ("/team", "a_echo", nothing, 2),
        ("/team", "a_echo", narrowed, 1),
        ("/team", "a_echo", detached, 1),
    ],
)
def test_a_call_that_waited_for_a_person_is_judged_anew(
    daemon: Daemon, server: Upstream, path: str, name: str,
    change: Callable[[Daemon], None], calls: int,
) -> None:  # fmt: skip
    """The answer to the question does not carry it past what was taken away meanwhile."""
    daemon.connect_http("a", server.url)
    virtuals.make(daemon, "team", "a")
    key = daemon.add_key("k", "a", "team")
    session = ask(daemon, path, "initialize", CAN, key=key).headers["mcp-session-id"]
    request = {"jsonrpc": "2.0", "id": 7, "method": "tools/call",
               "params": {"name": name, "arguments": {}}}  # fmt: skip
    with opened(daemon, path, request, key, session) as stream:
        question = heard(stream)
        assert question["method"] == "elicitation/create"
        change(daemon)
        with opened(
            daemon, path,
            {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept"}}, key, session,
        ) as taken:  # fmt: skip
            assert taken.status == 202
        last = heard(stream)
    assert (last["id"], "result" in last) == (7, calls == 2), last
    assert len(server.of("tools/call")) == calls


def test_a_subscription_is_judged_anew_when_its_stream_is_opened_again(
    daemon: Daemon, server: Upstream
) -> None:
    """What a session subscribed to before its key lost it is not asked for any more."""
    acknowledged = {"method": "notifications/subscriptions/acknowledged", "params": {}}
    message = {"jsonrpc": "2.0", **acknowledged}

    def reply(_: Seen, wire: Any) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        wire.sendall(head + b"data: %b\n\n" % json.dumps(message).encode())

    server.replies["subscriptions/listen"] = reply
    daemon.connect_http("a", server.url)
    virtuals.make(daemon, "team", "a")
    key = daemon.add_key("k", "a", "team")
    session = ask(daemon, "/a", "initialize", CAN, key=key).headers["mcp-session-id"]
    wanted = []
    for uri in ("file:///a", "file:///b"):
        ask(daemon, "/a", "resources/subscribe", {"uri": uri}, key=key,
            **{"Mcp-Session-Id": session})  # fmt: skip
    for change in (nothing, narrowed):
        change(daemon)
        with opened(daemon, "/a", None, key, session) as stream:
            heard(stream)
        asked = server.of("subscriptions/listen")[-1].message["params"]["notifications"]
        wanted.append(asked["resourceSubscriptions"])
    assert wanted == [["file:///a", "file:///b"], ["file:///b"]]

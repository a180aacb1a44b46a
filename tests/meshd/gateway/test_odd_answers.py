"""Answers that are odd and can be understood: clients get what they mean, and nothing runs twice."""

import json
from collections.abc import Callable, Iterator
from socket import socket
from typing import Any

import pytest

from tests.support import virtuals
from tests.support.daemon import Daemon
from tests.support.upstream import (
    Reply,
    Seen,
    Upstream,
    answer,
    event_stream,
    json_body,
    result,
    tool,
    upstream,
    usual_replies,
)
from tests.support.virtuals import ERAS, VERSION, ask

SECRET = "s3cret-in-the-path"
ASKS = {
    "resultType": "input_required", "requestState": "s",
    "inputRequests": {"q": {"method": "elicitation/create", "params": {"message": "Sure?"}}},
}  # fmt: skip
DONE = {"resultType": "complete", "content": []}
CALL = {"name": "write", "arguments": {}}
JSON = "Content-Type: application/json"

Change = Callable[[dict[str, Any]], dict[str, Any]]


def stateless_replies() -> dict[str, Reply]:
    """A small server of the stateless era."""
    said = {"supportedVersions": [VERSION], "capabilities": {"tools": {}}, "ttlMs": 0}
    return {
        "server/discover": result({"resultType": "complete", "cacheScope": "private", **said}),
        "tools/list": result({"resultType": "complete", "tools": [tool("write")]}),
        "initialize": answer(b"", status="400 Bad Request"),
        "GET": answer(b"", status="405 Method Not Allowed"),
    }


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Upstream]]:
    """One server of each era, by the name of its connection."""
    with upstream() as before, upstream() as now:
        before.replies, now.replies = usual_replies(), stateless_replies()
        yield {"before": before, "now": now}


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon, servers: dict[str, Upstream]) -> str:
    for name, server in servers.items():
        shared_daemon.connect_http(name, server.url.replace("/mcp", f"/{SECRET}"))
    virtuals.make(shared_daemon, "team", *servers)
    found = shared_daemon.add_key("k")
    for name in servers:  # what takes no handshake is known from then on
        ask(shared_daemon, f"/{name}", "initialize", {"protocolVersion": "2025-11-25"}, key=found)
    return found


PATHS = [("/before", "", "before"), ("/now", "", "now"),
         ("/team", "before_", "before"), ("/team", "now_", "now")]  # fmt: skip


def called(daemon: Daemon, key: str, path: str, prefix: str, era: str) -> dict[str, Any]:
    """The one message that a call is answered with, in JSON or on a stream."""
    call = {**CALL, "name": f"{prefix}write"}
    found = ask(daemon, path, "tools/call", call, key=key, era=era)
    if found.headers["content-type"] == "text/event-stream":
        lines = [line[5:] for line in found.body.splitlines() if line.startswith(b"data:")]
        return dict(json.loads(lines[-1]))
    assert found.headers["content-type"] == "application/json"
    return dict(found.json())


def said(change: Change, *headers: str) -> Reply:
    """A complete result, changed."""

    def reply(seen: Seen, wire: socket) -> None:
        message = change({"jsonrpc": "2.0", "id": seen.message["id"], "result": DONE})
        answer(json.dumps(message).encode(), *(headers or (JSON,)))(seen, wire)

    return reply


def pinged(seen: Seen, wire: socket) -> None:
    """A stream with an event that is no message before the answer."""
    message = {"jsonrpc": "2.0", "id": seen.message["id"], "result": DONE}
    event_stream(
        b"event: ping\ndata: 2026-11-24 04:00:00\n\ndata: %b\n\n" % json.dumps(message).encode()
    )(seen, wire)


UNDERSTOOD: dict[str, Reply] = {
    "its number as text": said(lambda m: {**m, "id": str(m["id"])}),
    "as plain text": said(lambda m: m, "Content-Type: text/plain"),
    "of no type": said(lambda m: m, "X-Other: 1"),
    "after an event of another name": pinged,
}


@pytest.mark.parametrize("name", UNDERSTOOD)
@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("path", "prefix", "server"), PATHS)
def test_an_odd_answer_is_understood(
    shared_daemon: Daemon, servers: dict[str, Upstream], key: str, path: str, prefix: str,
    server: str, era: str, name: str,
) -> None:  # fmt: skip
    """And reaches the client as one to its own request, of a type that clients take."""
    servers[server].replies["tools/call"] = UNDERSTOOD[name]
    found = called(shared_daemon, key, path, prefix, era)
    assert (found["id"], found["result"]["content"]) == (1, [])


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("path", "prefix", "server"), PATHS)
def test_an_error_without_an_id_is_the_error_of_the_request(
    shared_daemon: Daemon, servers: dict[str, Upstream], key: str, path: str, prefix: str,
    server: str, era: str,
) -> None:  # fmt: skip
    error = {"code": -32099, "message": "cannot read that", "data": {"at": 1}}
    reply = json_body(json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode())
    servers[server].replies["tools/call"] = reply
    found = called(shared_daemon, key, path, prefix, era)
    assert (found["id"], found["error"]) == (1, error)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("path", "prefix", "server"), PATHS)
def test_an_answer_to_another_request_fails_this_one(
    shared_daemon: Daemon, servers: dict[str, Upstream], key: str, path: str, prefix: str,
    server: str, era: str,
) -> None:  # fmt: skip
    """A client would wait for its own for ever. What it is told does not bear the URL."""
    servers[server].replies["tools/call"] = said(lambda m: {**m, "id": 99})
    found = called(shared_daemon, key, path, prefix, era)
    assert (found["id"], found["error"]["data"]["code"]) == (1, "upstream_failed")
    assert f'"{server}"' in found["error"]["message"]
    assert SECRET not in str(found)


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "405 Method Not Allowed"])
@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("path", "prefix"), [("/now", ""), ("/team", "now_")])
def test_a_refusal_that_bears_the_id_is_an_answer(
    shared_daemon: Daemon, servers: dict[str, Upstream], key: str, path: str, prefix: str,
    era: str, status: str,
) -> None:  # fmt: skip
    """Not the sign of another era: what was answered may have been done, and is not sent again."""
    server, error = servers["now"], {"code": -32000, "message": "no", "data": {"k": 1}}

    def refuse(seen: Seen, wire: socket) -> None:
        body = json.dumps({"jsonrpc": "2.0", "id": seen.message["id"], "error": error}).encode()
        answer(body, JSON, status=status)(seen, wire)

    server.replies["tools/call"] = refuse
    server.seen.clear()
    assert called(shared_daemon, key, path, prefix, era)["error"] == error
    assert len(server.of("tools/call")) == 1


@pytest.mark.parametrize("status", ["409 Conflict", "429 Too Many Requests", "500 Oops"])
@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("path", "prefix", "server"), PATHS)
def test_an_error_with_another_status_keeps_what_it_says(
    shared_daemon: Daemon, servers: dict[str, Upstream], key: str, path: str, prefix: str,
    server: str, era: str, status: str,
) -> None:  # fmt: skip
    error = {"code": -32000, "message": "not now", "data": {"k": 1}}

    def refuse(seen: Seen, wire: socket) -> None:
        body = json.dumps({"jsonrpc": "2.0", "id": seen.message["id"], "error": error}).encode()
        answer(body, JSON, status=status)(seen, wire)

    servers[server].replies["tools/call"] = refuse
    assert called(shared_daemon, key, path, prefix, era)["error"] == error


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("path", "prefix", "server"), PATHS)
def test_when_to_try_again_is_passed_on(
    shared_daemon: Daemon, servers: dict[str, Upstream], key: str, path: str, prefix: str,
    server: str, era: str,
) -> None:  # fmt: skip
    busy = answer(b"later", "Retry-After: 7", status="429 Too Many Requests")
    servers[server].replies["tools/call"] = busy
    told = called(shared_daemon, key, path, prefix, era)["error"]["data"]
    assert (told["code"], told["retry_after_s"]) == ("upstream_failed", "7")


def test_a_notification_that_is_refused_is_no_answer(
    shared_daemon: Daemon, servers: dict[str, Upstream], key: str
) -> None:
    """An error without an id would pass for one to it."""
    body = b'{"jsonrpc":"2.0","error":{"code":-32000,"message":"no"}}'
    servers["before"].replies["notifications/x"] = answer(body, JSON, status="500 Oops")
    sent = {"jsonrpc": "2.0", "method": "notifications/x"}
    assert shared_daemon.tcp("POST", "/mcp/before", sent, key=key).status == 502


def state(daemon: Daemon, name: str) -> str:
    return str(daemon.control("GET", f"/v1/connections/{name}")["state"])


def test_a_question_that_nobody_answers_is_no_fault_of_the_server(
    shared_daemon: Daemon, servers: dict[str, Upstream], key: str
) -> None:
    """Neither where the client cannot be asked, nor in a call that has no client."""
    servers["now"].replies["tools/call"] = result(ASKS)
    error = called(shared_daemon, key, "/now", "", "handshake")["error"]
    assert error["data"]["code"] == "unanswered"
    assert state(shared_daemon, "now") == "ready"
    plain = shared_daemon.tcp("POST", "/mcp/now/call-tool/write", b"{}", key=key)
    assert (plain.status, plain.json()["error"]["code"]) == (422, "unanswered")
    assert state(shared_daemon, "now") == "ready"

"""Whatever an HTTP upstream does wrong, a request gets HTTP 200 and a typed JSON-RPC error."""

import json
from collections.abc import Iterator

import pytest

from tests.support import fault
from tests.support.daemon import Daemon
from tests.support.hurried import HURRIED
from tests.support.upstream import SESSION, Reply, Upstream, answer, json_body, result, upstream

ELSEWHERE = "Location: /elsewhere"

FAULTS: dict[str, tuple[Reply, str]] = {
    "401": (fault.status("401 Unauthorized", "WWW-Authenticate: Basic"), "needs_login"),
    "403": (fault.status("403 Forbidden"), "needs_login"),
    "429": (fault.status("429 Too Many Requests", "Retry-After: 1"), "upstream_failed"),
    "500": (fault.status("500 Oops"), "upstream_failed"),
    "503": (fault.status("503 Busy"), "upstream_failed"),
    "301": (fault.status("301 Moved", ELSEWHERE), "upstream_failed"),
    "302": (fault.status("302 Found", ELSEWHERE), "upstream_failed"),
    "307": (fault.status("307 Temporary Redirect", ELSEWHERE), "upstream_failed"),
    "308": (fault.status("308 Permanent Redirect", ELSEWHERE), "upstream_failed"),
    "202 to a request": (answer(b"", status="202 Accepted"), "upstream_failed"),
    "204 to a request": (answer(b"", status="204 No Content"), "upstream_failed"),
    "not HTTP": (fault.no_http, "upstream_failed"),
    "reset": (fault.reset, "upstream_failed"),
    "cut": (fault.cut_json, "upstream_failed"),
    "not JSON": (fault.garbage(), "upstream_failed"),
    "a page": (fault.garbage("text/html"), "upstream_failed"),
    "JSON, not JSON-RPC": (json_body(b'["hello"]'), "upstream_failed"),
    "cut stream": (fault.cut_stream, "upstream_failed"),
    "silence": (fault.silence, "upstream_timeout"),
}
"""What the upstream does, and the code of the error that the client gets."""

METHODS = {
    "tools/call": {"name": "echo", "arguments": {}},
    "resources/list": {},
    "initialize": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}},
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon that gives up on silence soon."""
    made = Daemon.fresh().start(prefix=HURRIED)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream() as made:
        yield made


@pytest.fixture(scope="module")
def keys(daemon: Daemon, server: Upstream) -> tuple[str, str]:
    """One for everything, and one whose lists have to be filtered."""
    daemon.connect_http("recorder", server.url)
    return daemon.add_key("wide"), daemon.add_key("narrow", "recorder/echo")


def error_in(body: bytes, kind: str) -> dict[str, object]:
    """The JSON-RPC error of an answer in JSON, or at the end of a stream."""
    if kind.startswith("text/event-stream"):
        body = body.rstrip().rpartition(b"data: ")[2]
    found = json.loads(body)
    assert found["id"] == 1
    assert isinstance(found["error"], dict)
    return found["error"]


@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_becomes_a_typed_error(
    daemon: Daemon, server: Upstream, keys: tuple[str, str], name: str, method: str, narrow: bool
) -> None:
    """It has the code, a sentence that names the connection, and the request's own id."""
    reply, code = FAULTS[name]
    server.replies[method] = reply
    got = daemon.rpc("recorder", method, METHODS[method], key=keys[narrow])
    assert got.status == 200
    error = error_in(got.body, got.headers["content-type"])
    assert isinstance(error["data"], dict)
    assert error["data"]["code"] == code
    assert error["message"]
    assert b"a page for people" not in got.body
    assert not [seen for seen in server.seen if seen.target != "/mcp"], "a redirect was followed"


@pytest.mark.parametrize("line", ["400 Bad Request", "404 Not Found", "405 Method Not Allowed"])
def test_refusals_of_the_protocol_reach_the_client(
    daemon: Daemon, server: Upstream, keys: tuple[str, str], line: str
) -> None:
    """They tell a client what to do, such as to open a new session; their bytes are kept."""
    body = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"Session not found"} }'
    server.replies["tools/call"] = answer(body, "Content-Type: application/json", status=line)
    got = daemon.rpc("recorder", "tools/call", METHODS["tools/call"], key=keys[0])
    assert (got.status, got.body) == (int(line[:3]), body)


@pytest.mark.parametrize("session", ["caf\u00e9", "x" * 9000], ids=["not ASCII", "too long"])
def test_a_session_id_that_cannot_be_kept_is_a_typed_error(
    daemon: Daemon, server: Upstream, keys: tuple[str, str], session: str
) -> None:
    """The upstream breaks the protocol, so the client gets no session, and not a failure of ours."""
    server.replies["initialize"] = result({}, f"Mcp-Session-Id: {session}")
    got = daemon.rpc("recorder", "initialize", METHODS["initialize"], key=keys[0])
    assert got.status == 200
    assert error_in(got.body, "")["data"]["code"] == "upstream_failed"  # type: ignore[index]
    assert "mcp-session-id" not in got.headers


def test_a_fault_in_a_notification_is_an_http_error(
    daemon: Daemon, server: Upstream, keys: tuple[str, str]
) -> None:
    """Nobody waits for a JSON-RPC answer there, so the status has to say it."""
    server.replies["notifications/x"] = fault.status("500 Oops")
    got = daemon.tcp(
        "POST", "/mcp/recorder", {"jsonrpc": "2.0", "method": "notifications/x"}, key=keys[0]
    )
    assert (got.status, got.json()["error"]["data"]["code"]) == (502, "upstream_failed")


def test_the_state_of_the_connection_follows(
    daemon: Daemon, server: Upstream, keys: tuple[str, str]
) -> None:
    """Operators see what clients met, and that it is over."""

    def state_after(reply: Reply) -> str:
        server.replies["tools/call"] = reply
        daemon.rpc("recorder", "tools/call", METHODS["tools/call"], key=keys[0])
        return str(daemon.control("GET", "/v1/connections/recorder")["state"])

    fine = result({"content": []}, f"Mcp-Session-Id: {SESSION}")
    assert state_after(fine) == "ready"
    assert state_after(fault.status("500 Oops")) == "failing"
    assert state_after(fault.status("401 Unauthorized")) == "needs_login"
    assert state_after(fine) == "ready"

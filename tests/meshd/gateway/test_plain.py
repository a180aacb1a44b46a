"""Tool calls in plain HTTP: what curl sends, and what it gets."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support import stdio_server
from tests.support.daemon import Answer, Daemon
from tests.support.upstream import Seen, Upstream, answer, event_stream, json_body, upstream
from tests.support.wait import until

STREAM = "text/event-stream"


@pytest.fixture(scope="module")
def remote() -> Iterator[Upstream]:
    with upstream() as made:
        yield made


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon, remote: Upstream) -> str:
    """A key for a connection of each transport."""
    shared_daemon.connect("local", *stdio_server.command())
    shared_daemon.connect_http("remote", remote.url)
    shared_daemon.connect_http("nowhere", "http://127.0.0.1:9/mcp")
    return shared_daemon.add_key("plain", "*")


def post(daemon: Daemon, key: str | None, path: str, body: Any = None, **headers: str) -> Answer:
    return daemon.tcp("POST", f"/mcp/{path}", {} if body is None else body, key=key, **headers)


def events(answer: Answer) -> list[tuple[str, Any]]:
    """(name, data) of each event of a stream."""
    assert answer.status == 200
    assert answer.headers["content-type"] == STREAM
    found = []
    for block in answer.body.decode().strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def error(answer: Answer) -> dict[str, Any]:
    return dict(answer.json()["error"])


def test_the_result_is_the_body(shared_daemon: Daemon, key: str) -> None:
    """As the server gave it, without any session or envelope around it."""
    answer = post(shared_daemon, key, "local/call-tool/echo", {"text": "hello"})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["structuredContent"] == {"value": {"text": "hello"}}
    assert "mcp-session-id" not in answer.headers


def test_an_http_server_gets_the_arguments_untouched(
    shared_daemon: Daemon, key: str, remote: Upstream
) -> None:
    """Odd numbers, repeated members and spaces inside arguments are the server's to read."""
    body = b'{"a": 1.10, "a":2,\n "b" :1e400}'
    assert post(shared_daemon, key, "remote/call-tool/echo", body).status == 200
    assert body in remote.of("tools/call")[-1].body


@pytest.mark.parametrize(
    ("path", "tool"),
    [
        ("echo", "echo"), ("a/b", "a/b"), ("a%2Fb", "a/b"), ("a%252Fb", "a%2Fb"),
        ("caf%C3%A9%20%3F", "café ?"), ("x/call-tool/y", "x/call-tool/y"), ("%41", "A"),
    ],
)  # fmt: skip
def test_the_tool_s_name_is_decoded_once(
    shared_daemon: Daemon, key: str, remote: Upstream, path: str, tool: str
) -> None:
    assert post(shared_daemon, key, f"remote/call-tool/{path}").status == 200
    assert remote.of("tools/call")[-1].message["params"]["name"] == tool


def test_an_error_of_the_tool_is_its_result(shared_daemon: Daemon, key: str) -> None:
    """The call was made: 200, and the result says that it failed."""
    answer = post(shared_daemon, key, "local/call-tool/fail")
    assert (answer.status, answer.json()["isError"]) == (200, True)


def test_what_the_server_refuses_is_422(shared_daemon: Daemon, key: str) -> None:
    """An unknown tool, in the words of the server."""
    answer = post(shared_daemon, key, "local/call-tool/nope")
    assert answer.status == 422
    assert error(answer)["code"] == "upstream_refused"
    assert error(answer)["message"] == "local refused the call: no such tool"
    assert error(answer)["facts"] == {"jsonrpc code": "-32602"}


def test_the_data_of_a_refusal_is_kept(
    shared_daemon: Daemon, remote: Upstream, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = b'{"jsonrpc":"2.0","id":%d,"error":{"code":-32000,"message":"no","data":{"k":[1]}}}'

    def refuse(seen: Seen, wire: socket.socket) -> None:
        json_body(refusal % seen.message["id"])(seen, wire)

    monkeypatch.setitem(remote.replies, "tools/call", refuse)
    answer = post(shared_daemon, key, "remote/call-tool/echo")
    assert error(answer)["facts"] == {"jsonrpc code": "-32000", "data": '{"k":[1]}'}


def test_a_server_that_fails_is_502(shared_daemon: Daemon, key: str) -> None:
    """One that dies in the call, one that cannot be reached, one that answers nonsense."""
    died = post(shared_daemon, key, "local/call-tool/die")
    assert (died.status, error(died)["code"]) == (502, "upstream_failed")
    gone = post(shared_daemon, key, "nowhere/call-tool/echo")
    assert (gone.status, error(gone)["code"]) == (502, "upstream_failed")


def test_denied_is_403_and_says_what_would_allow_it(shared_daemon: Daemon, key: str) -> None:
    narrow = shared_daemon.add_key("narrow", "local/echo")
    assert post(shared_daemon, narrow, "local/call-tool/echo").status == 200
    other = post(shared_daemon, narrow, "local/call-tool/write")
    assert other.status == 403
    assert error(other)["next"] == "meshctl key edit narrow --allow local/write"
    outside = post(shared_daemon, narrow, "remote/call-tool/echo")
    assert outside.status == 403
    assert error(outside)["next"] == "meshctl key edit narrow --allow remote"
    record = shared_daemon.control("GET", "/v1/calls?connection=local&limit=1")[0]
    assert (record["tool"], record["ok"]) == ("write", False)
    assert record["error"].startswith("denied: ")


def test_a_read_only_key_calls_what_is_annotated_so(shared_daemon: Daemon, key: str) -> None:
    reader = shared_daemon.add_key("reader", "local", read_only=True)
    assert post(shared_daemon, reader, "local/call-tool/echo").status == 200
    assert post(shared_daemon, reader, "local/call-tool/fail").status == 403


def test_without_a_key_401(shared_daemon: Daemon, key: str) -> None:
    for given in (None, "mshs_garbage"):
        answer = post(shared_daemon, given, "local/call-tool/echo")
        assert answer.status == 401
        assert error(answer)["code"] == "unauthenticated"
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_unknown_connections_answer_alike(shared_daemon: Daemon, key: str) -> None:
    bodies = {
        post(shared_daemon, key, f"{name}/call-tool/echo").body
        for name in ("nothing", "other", "%2e%2e", "conn_0000000000000000")
    }
    assert len(bodies) == 1
    assert post(shared_daemon, key, "nothing/call-tool/echo").status == 404
    assert post(shared_daemon, key, "local/call-tool/").status == 404


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b'"x"', b"5", b"{", b'{"a":NaN}', b'{"a":"\xff"}', b"{} {}",
        b'{"a":' + b"[" * 64 + b"]" * 64 + b"}", b'{"a":1,}', b"\xef\xbb\xbf{}",
    ],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_bodies_that_are_no_object(shared_daemon: Daemon, key: str, body: bytes) -> None:
    answer = post(shared_daemon, key, "local/call-tool/echo", body)
    assert (answer.status, error(answer)["code"]) == (400, "bad_request")


def test_what_else_is_refused(shared_daemon: Daemon, key: str) -> None:
    """By type, by size, by method, by coding, by name."""
    path = "local/call-tool/echo"
    assert post(shared_daemon, key, path, b"{}", Content_Type="text/plain").status == 415
    assert post(shared_daemon, key, path, b"{}", Content_Encoding="gzip").status == 415
    assert post(shared_daemon, key, path, b'{"a":"' + b"x" * 5_000_000 + b'"}').status == 413
    assert post(shared_daemon, key, "local/call-tool/%FF").status == 400
    for method in ("GET", "DELETE", "PUT"):
        answer = shared_daemon.tcp(method, f"/mcp/{path}", key=key)
        assert (answer.status, error(answer)["code"]) == (405, "method_not_allowed")
    assert post(shared_daemon, key, path, {}, Host="elsewhere").status == 421
    assert post(shared_daemon, key, path, {}, Origin="http://elsewhere").status == 403


def test_a_disabled_connection_says_so(shared_daemon: Daemon, key: str) -> None:
    shared_daemon.connect("off", *stdio_server.command())
    shared_daemon.control("POST", "/v1/connections/off/disable")
    answer = post(shared_daemon, key, "off/call-tool/echo")
    assert answer.status == 503
    assert error(answer)["next"] == "meshctl connection enable off"


def test_calls_are_recorded_with_their_client(shared_daemon: Daemon, key: str) -> None:
    post(shared_daemon, key, "local/call-tool/echo", {"n": 1}, User_Agent="curl/8")
    record = shared_daemon.control("GET", "/v1/calls?limit=1")[0]
    shown = shared_daemon.control("GET", f"/v1/calls/{record['id']}")
    assert (shown["connection"], shown["tool"], shown["principal"], shown["ok"]) == (
        "local", "echo", "plain", True,
    )  # fmt: skip
    assert (shown["arguments"], shown["client"]) == ({"n": 1}, "curl/8")


def test_a_stream_ends_with_the_result(shared_daemon: Daemon, key: str) -> None:
    """Progress before it, also where there is none."""
    asked = {"of": 1, "mark": "m"}
    path = "local/call-tool/gather"
    progress, result = events(post(shared_daemon, key, path, asked, Accept=STREAM))
    assert progress[0] == "message"
    assert progress[1]["method"] == "notifications/progress"
    assert progress[1]["params"]["message"] == "m"
    assert result == ("result", post(shared_daemon, key, path, asked).json())
    quiet = events(post(shared_daemon, key, "local/call-tool/echo", Accept=STREAM))
    assert [name for name, _ in quiet] == ["result"]


def test_progress_of_an_http_server(shared_daemon: Daemon, key: str, remote: Upstream) -> None:
    """It is asked for with a token that no other call on the daemon's session has."""
    tokens = []

    def streaming(seen: Seen, wire: socket.socket) -> None:
        token = seen.message["params"]["_meta"]["progressToken"]
        tokens.append(token)
        told = {"progressToken": token, "progress": 1, "total": 2}
        messages = (
            {"jsonrpc": "2.0", "method": "notifications/progress", "params": told},
            {"jsonrpc": "2.0", "id": seen.message["id"], "result": {"content": []}},
        )
        event_stream(b"".join(b"data: %b\n\n" % json.dumps(m).encode() for m in messages))(
            seen, wire
        )

    usual = remote.replies["tools/call"]
    remote.replies["tools/call"] = streaming
    for _ in range(2):
        progress, result = events(post(shared_daemon, key, "remote/call-tool/x", Accept=STREAM))
        assert progress[1]["params"]["progress"] == 1
        assert result == ("result", {"content": []})
    remote.replies["tools/call"] = usual
    assert len(set(tokens)) == 2
    post(shared_daemon, key, "remote/call-tool/x")
    assert "_meta" not in remote.of("tools/call")[-1].message["params"]


def test_what_fails_at_once_has_its_status_also_for_who_accepts_a_stream(
    shared_daemon: Daemon, key: str
) -> None:
    assert post(shared_daemon, key, "local/call-tool/nope", Accept=STREAM).status == 422
    assert post(shared_daemon, key, "nothing/call-tool/x", Accept=STREAM).status == 404
    assert post(shared_daemon, key, "local/call-tool/echo", b"[]", Accept=STREAM).status == 400


def test_what_fails_later_is_the_last_event(
    shared_daemon: Daemon, key: str, remote: Upstream
) -> None:
    said = b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n'
    usual = remote.replies["tools/call"]
    remote.replies["tools/call"] = event_stream(said)
    found = events(post(shared_daemon, key, "remote/call-tool/x", Accept=STREAM))
    remote.replies["tools/call"] = usual
    assert [name for name, _ in found] == ["message", "error"]
    assert found[-1][1]["error"]["code"] == "upstream_failed"


def test_a_server_that_answers_nonsense_is_502(
    shared_daemon: Daemon, key: str, remote: Upstream
) -> None:
    usual = remote.replies["tools/call"]
    for reply in (json_body(b"{}"), answer(b"", status="500 Broken"), json_body(b"nope")):
        remote.replies["tools/call"] = reply
        got = post(shared_daemon, key, "remote/call-tool/x")
        assert (got.status, error(got)["code"]) == (502, "upstream_failed")
    remote.replies["tools/call"] = usual


def test_calls_of_self(shared_daemon: Daemon, key: str) -> None:
    """Its tools as any other's; a mistake in a call is a result, a denial 403."""
    manager = shared_daemon.add_key("manager", "self/key.*")
    shown = post(shared_daemon, manager, "self/call-tool/KEY_SHOW", {"key": "manager"})
    assert (shown.status, shown.json()["structuredContent"]["name"]) == (200, "manager")
    wrong = post(shared_daemon, manager, "self/call-tool/KEY_SHOW", {"key": "nobody"})
    assert (wrong.status, wrong.json()["isError"]) == (200, True)
    assert post(shared_daemon, manager, "self/call-tool/STATUS").status == 403
    assert post(shared_daemon, manager, "self/call-tool/KEY_ADD").status == 403
    assert post(shared_daemon, manager, "self/call-tool/NO_SUCH").status == 404
    assert post(shared_daemon, key, "self/call-tool/STATUS").status == 403
    stream = post(shared_daemon, manager, "self/call-tool/KEY_LIST", Accept=STREAM)
    assert [name for name, _ in events(stream)] == ["result"]


def test_the_owner_calls_over_the_socket(shared_daemon: Daemon, key: str) -> None:
    answer = shared_daemon.ask("POST", "/mcp/local/call-tool/echo", {"a": 1})
    assert answer.json()["structuredContent"] == {"value": {"a": 1}}


@pytest.mark.parametrize("accept", ["*/*", STREAM])
def test_a_client_that_goes_away_cancels_its_call(
    shared_daemon: Daemon, key: str, accept: str
) -> None:
    """The server is told; the record says that nobody had an answer."""
    mark = f"left {accept}"
    body = json.dumps({"mark": mark}).encode()
    head = (
        f"POST /mcp/local/call-tool/hang HTTP/1.1\r\nHost: {urlsplit(shared_daemon.url).netloc}\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\nAccept: {accept}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )

    def seen() -> dict[str, list[str]]:
        answer = post(shared_daemon, key, "local/call-tool/seen")
        return dict(answer.json()["structuredContent"]["value"])

    with socket.create_connection(
        (urlsplit(shared_daemon.url).hostname, urlsplit(shared_daemon.url).port)
    ) as wire:
        wire.sendall(head.encode() + body)
        until(lambda: mark in seen()["hanging"])
    until(lambda: mark in seen()["cancelled"])
    records = shared_daemon.control("GET", "/v1/calls?connection=local&failed=true")
    assert (records[0]["tool"], records[0]["error"]) == ("hang", "cancelled by the client")


def test_the_rate_limit_counts_them() -> None:
    """429 with the seconds to wait, as at the endpoint of MCP."""
    daemon = Daemon.fresh(MESHCTL_RATE_LIMIT="2").start()
    try:
        key = daemon.add_key("hasty", "self/status")
        found = [post(daemon, key, "self/call-tool/STATUS") for _ in range(3)]
        assert [one.status for one in found] == [200, 200, 429]
        assert int(found[-1].headers["retry-after"]) > 0
        assert error(found[-1])["code"] == "rate_limited"
    finally:
        daemon.remove()

"""What passes through an HTTP connection: every byte of the message, none of the caller's headers."""

import hashlib
from collections.abc import Iterator
from socket import socket

import pytest

from tests.support.daemon import Answer, Daemon
from tests.support.upstream import (
    SESSION,
    Seen,
    Upstream,
    answer,
    event_stream,
    json_body,
    upstream,
)

REQUEST = (
    b'\t{ "jsonrpc" : "2.0",\r\n "id":  "\\u00e9-1" , "method":"tools/call", "x-unknown": [1.0, 1e400, -0],\n'
    b' "params":{"name" : "echo","_meta":{"vendor/x":{"deep":[[]]}}, "arguments":'
    b'{"n":9223372036854775808,"m":-9223372036854775809,"one":1.0,"big":1e999,"z":0.10,'
    b'"e":"\\u00e9 \xc3\xa9 \\ud83d\\ude00 \\/","":{ } , "long":12345678901234567890.000}} }  '
)
RESULT = (
    b'{ "result" :{"content":[ ],"n":9223372036854775808,"one":1.0,"\\u0065":"\\u00e9\xc3\xa9",'
    b'"unknown":{"a":[1,  2]}},\n\t"id":"\\u00e9-1", "jsonrpc":"2.0","more":null}'
)
EVENTS = (
    b": a comment\n\nid: 7\nretry: 10\n\nevent: message\r\ndata: "
    b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1.0}}\r\n\r\n'
    b"event: message\nid: 8\ndata: " + RESULT.replace(b"\n\t", b"") + b"\n\n"
)
PAGE = b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"b"}}'
HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade", "proxy-connection",
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    """The recorder."""
    with upstream() as made:
        yield made


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon, server: Upstream) -> str:
    """A key for the recorder, whose connection has headers of its own."""
    shared_daemon.connect_http(
        "recorder", server.url, **{"Authorization": "Bearer for-the-upstream", "X-Team": "blue"}
    )
    return shared_daemon.add_key("client")


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def post(daemon: Daemon, key: str, body: bytes, **headers: str) -> Answer:
    """A message as a client sends it."""
    accept = {"Accept": "application/json, text/event-stream"}
    return daemon.tcp("POST", "/mcp/recorder", body, key=key, **accept, **headers)


def call_seen(server: Upstream) -> Seen:
    """The last tool call that arrived."""
    return server.of("tools/call")[-1]


def test_a_request_arrives_byte_for_byte(shared_daemon: Daemon, server: Upstream, key: str) -> None:
    """Odd spacing, numbers beyond 64 bits, `1.0`, unknown members, escapes."""
    post(shared_daemon, key, REQUEST)
    assert call_seen(server).sha256 == sha256(REQUEST)


def test_a_json_answer_arrives_byte_for_byte(
    shared_daemon: Daemon, server: Upstream, key: str
) -> None:
    """With the upstream's content type."""
    server.replies["tools/call"] = json_body(RESULT)
    got = post(shared_daemon, key, REQUEST)
    assert (got.status, got.headers["content-type"]) == (200, "application/json")
    assert sha256(got.body) == sha256(RESULT)


def test_a_stream_of_a_free_method_arrives_byte_for_byte(
    shared_daemon: Daemon, server: Upstream, key: str
) -> None:
    """Comments, ids, retries, line ends."""
    server.replies["ping"] = event_stream(EVENTS)
    got = post(shared_daemon, key, b'{"jsonrpc":"2.0","id":"\\u00e9-1","method":"ping"}')
    assert got.headers["content-type"] == "text/event-stream"
    assert sha256(got.body) == sha256(EVENTS)


def test_a_stream_of_a_tool_call_arrives_byte_for_byte(
    shared_daemon: Daemon, server: Upstream, key: str
) -> None:
    """Also where the gateway reads along for the record."""
    server.replies["tools/call"] = event_stream(EVENTS)
    got = post(shared_daemon, key, REQUEST)
    assert got.headers["content-type"] == "text/event-stream"
    assert sha256(got.body) == sha256(EVENTS)


def test_a_list_of_an_unbounded_key_arrives_byte_for_byte(
    shared_daemon: Daemon, server: Upstream, key: str
) -> None:
    """A page that is asked for by its cursor: nothing to filter, nothing to change."""
    listed = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","x":1.0,"inputSchema":{}} ]}}'
    server.replies["tools/list"] = json_body(listed)
    got = post(shared_daemon, key, PAGE)
    assert sha256(got.body) == sha256(listed)


def test_definitions_from_memory_keep_their_bytes(
    shared_daemon: Daemon, server: Upstream, key: str
) -> None:
    """The first page is served to all alike; each definition as it came, and what stands beside."""
    one = b'{"name":"a" ,"x":1.0,"inputSchema":{ }}'
    listed = b'{"jsonrpc":"2.0","id":%d,"result":{"vendor":[ 1],"tools":[' + one + b"]}}"

    def reply(seen: Seen, wire: socket) -> None:
        json_body(listed % seen.message["id"])(seen, wire)

    server.replies["tools/list"] = reply
    shared_daemon.control("POST", "/v1/connections/recorder/test")
    got = post(shared_daemon, key, b'{"jsonrpc":"2.0","id":"x","method":"tools/list"}')
    assert got.body == (
        b'{"jsonrpc":"2.0","id":"x","result":{"tools":[' + one + b'],"vendor":[ 1]}}'
    )


def test_a_filtered_list_keeps_the_bytes_of_what_it_keeps(
    shared_daemon: Daemon, server: Upstream, key: str
) -> None:
    """Entries, unknown members and the cursor stay; the others are gone."""
    kept = (
        b'{"name":"echo" ,"x":{"n":9223372036854775808,"one":1.0},"inputSchema":{ "type":"object"}}'
    )
    page = (
        b'{"jsonrpc":"2.0","id":1,"result":{"vendor":1.0,"tools":[{"name":"write","inputSchema":{}},'
        + kept
        + b'],"nextCursor":"\\u0061"}}'
    )
    server.replies["tools/list"] = json_body(page)
    narrow = shared_daemon.add_key("narrow", "recorder/echo")
    got = post(shared_daemon, narrow, PAGE)
    assert kept in got.body
    assert b"write" not in got.body
    assert b'"vendor":1.0' in got.body
    assert got.json()["result"]["nextCursor"] == "a"


def test_nothing_of_the_callers_headers_travels_on(
    shared_daemon: Daemon, server: Upstream, key: str
) -> None:
    """Not their values anywhere; the connection's own headers do."""
    given = {
        "Cookie": "canary-cookie=1", "X-Forwarded-For": "canary-address", "X-Api-Key": "canary-key",
        "X-Team": "canary-team", "Proxy-Authorization": "Basic canary-proxy",
        "Forwarded": "for=canary", "Traceparent": "00-canary", "User-Agent": "canary-agent",
        "Referer": "http://canary/", "Accept-Language": "canary", "Last-Event-ID": "canary",
    }  # fmt: skip
    post(shared_daemon, key, REQUEST, **given)
    seen = call_seen(server)
    assert seen.header("Authorization") == "Bearer for-the-upstream"
    assert seen.header("X-Team") == "blue"
    assert key not in str(seen.headers)
    assert "canary" not in str(seen.headers)
    assert {name.lower() for name, _ in seen.headers} == {
        "host", "accept", "content-type", "content-length", "user-agent", "authorization", "x-team",
    }  # fmt: skip


def test_hop_by_hop_and_foreign_headers_of_the_answer_stop_here(
    shared_daemon: Daemon, server: Upstream, key: str
) -> None:
    """Nor does the upstream set a cookie, ask for a login or allow an origin in our name."""
    server.replies["tools/call"] = answer(
        RESULT, "Content-Type: application/json", "Keep-Alive: timeout=99", "Upgrade: h2c",
        "Trailer: X-T", "Proxy-Authenticate: Basic", "Set-Cookie: a=b", "WWW-Authenticate: Basic",
        "Access-Control-Allow-Origin: *", "Server: canary", "X-Powered-By: canary", "TE: trailers",
        f"Mcp-Session-Id: {SESSION}",
    )  # fmt: skip
    got = post(shared_daemon, key, REQUEST)
    assert got.body == RESULT
    assert not HOP_BY_HOP & set(got.headers) - {"connection"}
    assert "timeout=99" not in str(got.headers)
    assert not {"set-cookie", "www-authenticate", "mcp-session-id", "x-powered-by"} & set(
        got.headers
    )
    assert "canary" not in str(got.headers)
    assert not [name for name in got.headers if name.startswith("access-control-")]


def test_notifications_and_responses_pass_too(
    shared_daemon: Daemon, server: Upstream, key: str
) -> None:
    """They arrive as they were sent, and are accepted."""
    for body in (
        b'{"jsonrpc":"2.0" , "method":"notifications/roots/list_changed"}',
        b'{"jsonrpc":"2.0","id":9007199254740993,"result":{"roots":[ ]}}',
    ):
        assert post(shared_daemon, key, body).status == 202
        assert server.seen[-1].body == body


def test_one_call_is_one_request(shared_daemon: Daemon, server: Upstream, key: str) -> None:
    """Nothing else is asked on its behalf."""
    server.replies["tools/call"] = json_body(RESULT)
    before = len(server.seen)
    post(shared_daemon, key, REQUEST)
    assert [seen.kind for seen in server.seen[before:]] == ["tools/call"]


def test_the_version_header_travels(shared_daemon: Daemon, server: Upstream, key: str) -> None:
    """It is the protocol's, not the caller's."""
    post(shared_daemon, key, REQUEST, **{"MCP-Protocol-Version": "2025-06-18"})
    assert call_seen(server).header("MCP-Protocol-Version") == "2025-06-18"

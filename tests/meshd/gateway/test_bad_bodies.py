"""Bodies that are no message: a typed 400, never a failure of the daemon."""

import http.client
import json
import os
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.mutant import CALL, mutant
from tests.support.upstream import Upstream, upstream

SEED = 20_261_123
MUTANTS = int(os.environ.get("MUTANTS", "400"))
"""Bodies for each of four paths. More: `MUTANTS=2500 pytest tests/meshd/gateway/test_bad_bodies.py`"""


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream() as made:
        yield made


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon, server: Upstream) -> str:
    """A key for a connection of each transport, and for making keys."""
    shared_daemon.connect("stdio", *stdio_server.command())
    shared_daemon.connect_http("http", server.url)
    return shared_daemon.add_key("sender", "stdio", "http", "self", "self/key.add")


def nested(depth: int) -> bytes:
    """A call that nests so deep, counted from the message itself."""
    inner = b"[" * (depth - 3) + b"]" * (depth - 3)
    return (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"a":'
        + inner
        + b"}}}"
    )


def call(arguments: bytes) -> bytes:
    """A tool call with raw arguments."""
    return (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":'
        + arguments
        + b"}}"
    )


BAD: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n",
    "no JSON": b"hello",
    "half": CALL[:60],
    "two": CALL + CALL,
    "batch": b"[" + CALL + b"]",
    "empty batch": b"[]",
    "a string": b'"tools/call"',
    "null": b"null",
    "NaN": call(b'{"n":NaN}'),
    "Infinity": call(b'{"n":-Infinity}'),
    "single quotes": call(b"{'n':1}"),
    "trailing comma": call(b'{"n":1,}'),
    "leading zero": call(b'{"n":01}'),
    "control character": call(b'{"n":"\x01"}'),
    "half escape": call(b'{"n":"\\u12"}'),
    "invalid UTF-8 in arguments": call(b'{"n":"\xff\xfe"}'),
    "invalid UTF-8 in the method": b'{"jsonrpc":"2.0","id":1,"method":"\xc3\x28"}',
    "overlong UTF-8": call(b'{"n":"\xc0\xaf"}'),
    "surrogate in UTF-8": call(b'{"n":"\xed\xa0\x80"}'),
    "lone surrogate, escaped": call(b'{"n":"\\ud800"}'),  # RFC 7493, section 2.1
    "byte order mark": b"\xef\xbb\xbf" + CALL,
    "UTF-16": CALL.decode().encode("utf-16"),
    "depth 65": nested(65),
    "depth 100000": nested(100_000),
    "open to depth 100000": b"[" * 100_000,
    "another version": b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
    "no version": b'{"id":1,"method":"ping"}',
    "no method": b'{"jsonrpc":"2.0"}',
    "method is a number": b'{"jsonrpc":"2.0","id":1,"method":7}',
    "id is an object": b'{"jsonrpc":"2.0","id":{},"method":"ping"}',
    "id is null": b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
    "id is true": b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
    "params is an array": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}',
    "params is a string": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"echo"}',
    "name is a number": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}',
    "method twice": b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}',
    "method twice, escaped": b'{"jsonrpc":"2.0","id":1,"method":"ping","metho\\u0064":"tools/list"}',
    "id twice": b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
    "params twice": b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
    b'"params":{"name":"write"},"params":{"name":"echo"}}',
    "name twice": b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
    b'"params":{"name":"write","name":"echo","arguments":{}}}',
    "name twice, escaped": b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
    b'"params":{"n\\u0061me":"write","name":"echo","arguments":{}}}',
}


@pytest.mark.parametrize("connection", ["stdio", "http"])
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_message_is_400(
    shared_daemon: Daemon, server: Upstream, key: str, connection: str, name: str
) -> None:
    """With a JSON-RPC error, and nothing reaches the upstream."""
    before = len(server.seen)
    answer = shared_daemon.tcp("POST", f"/mcp/{connection}", BAD[name], key=key)
    assert answer.status == 400
    assert answer.json()["error"]["code"] in {-32700, -32600, -32602}
    assert len(server.seen) == before


@pytest.mark.parametrize("connection", ["stdio", "http"])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(nested(64), id="depth 64"),
        pytest.param(call(b'{"text":"' + b"[{" * 5000 + b'"}'), id="brackets in a string"),
        pytest.param(call(b'{"a":1,"a":2}'), id="a name twice inside arguments"),
        pytest.param(call(b'{"n":9223372036854775808,"x":1e308}'), id="large numbers"),
    ],
)
def test_what_only_looks_odd_passes(
    shared_daemon: Daemon, key: str, connection: str, body: bytes
) -> None:
    """The walls stand where they are said to stand, and no nearer."""
    answer = shared_daemon.tcp("POST", f"/mcp/{connection}", body, key=key)
    assert answer.status == 200
    assert "result" in answer.json()


@pytest.mark.parametrize("path", ["/mcp/stdio", "/mcp/http", "/v1/keys", "/v1/connections"])
def test_damaged_bodies_never_fail_the_daemon(shared_daemon: Daemon, key: str, path: str) -> None:
    """Some hundred damaged bodies, the same in every run: never a 5xx, always JSON."""
    parts = urlsplit(shared_daemon.url)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with closing(http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)) as link:
        for seed in range(SEED, SEED + MUTANTS):
            body = mutant(seed)
            link.request("POST", path, body, headers)
            response = link.getresponse()
            answer = response.read()
            assert response.status < 500, (seed, body, answer)
            if answer:
                json.loads(answer)
    assert shared_daemon.tcp("GET", "/health").status == 200

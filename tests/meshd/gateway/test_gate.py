"""The gate on TCP: who is turned away, in which order, and with which status."""

import itertools
from dataclasses import dataclass

import pytest

from tests.support import stdio_server
from tests.support.daemon import Answer, Daemon
from tests.support.raw_http import chunked, exchange, request

PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
JSON = "application/json"
TOO_MUCH = 4 * 1024 * 1024 + 1
MCP, CONTROL, HEALTH = "/mcp/stand-in", "/v1/status", "/health"


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon) -> str:
    """A key for the connection and for control calls."""
    shared_daemon.connect("stand-in", *stdio_server.command())
    return shared_daemon.add_key("gate", "stand-in", "self", "self/key.add")


@dataclass(frozen=True)
class Knock:
    """A request by what the gate looks at. A host or origin of `own` is the daemon's."""

    method: str = "POST"
    path: str = MCP
    host: str = "own"
    origin: str | None = None
    site: str | None = None
    kind: str | None = JSON
    with_key: bool = True
    body: bytes | None = PING

    def send(self, daemon: Daemon, key: str) -> Answer:
        own = daemon.url.removeprefix("http://")
        headers = [f"Authorization: Bearer {key}"] if self.with_key else []
        headers += [f"Origin: {self.origin}"] if self.origin is not None else []
        headers += [f"Sec-Fetch-Site: {self.site}"] if self.site is not None else []
        headers += [f"Content-Type: {self.kind}"] if self.kind is not None else []
        host = self.host.replace("own", own).replace("PORT", own.rpartition(":")[2])
        return exchange(daemon.url, request(self.method, self.path, host, *headers, body=self.body))


TABLE: list[tuple[Knock, int]] = [
    # Who passes.
    (Knock(), 200),
    (Knock(host="localhost:PORT"), 200),
    (Knock(host="LOCALHOST:PORT"), 200),
    (Knock(host="[::1]:PORT"), 200),
    (Knock(kind="application/json; charset=utf-8"), 200),
    (Knock(site="same-origin"), 200),
    (Knock(site="none"), 200),
    (Knock("GET", HEALTH, kind=None, body=None), 200),
    (Knock("GET", HEALTH, kind=None, body=None, with_key=False), 200),
    (Knock("GET", CONTROL, kind=None, body=None), 200),
    # Wrong Host, which is how a page of another name reaches a loopback port.
    (Knock(host="evil.example"), 421),
    (Knock(host="evil.example:PORT"), 421),
    (Knock(host="127.0.0.1"), 421),
    (Knock(host="127.0.0.1:1"), 421),
    (Knock(host="127.0.0.1:PORT.evil.example"), 421),
    (Knock(host="127.0.0.2:PORT"), 421),
    (Knock(host=""), 421),
    (Knock("GET", HEALTH, host="evil.example", kind=None, body=None), 421),
    (Knock("GET", CONTROL, host="evil.example", kind=None, body=None), 421),
    (Knock(host="evil.example", with_key=False, origin="https://evil.example"), 421),
    # Foreign Origin.
    (Knock(origin="https://evil.example"), 403),
    (Knock(origin="null"), 403),
    (Knock(origin=""), 403),
    (Knock(origin="http://localhost:1"), 403),
    (Knock("OPTIONS", origin="https://evil.example", kind=None, body=None), 403),
    (Knock("GET", HEALTH, origin="https://evil.example", kind=None, body=None), 403),
    (Knock("GET", CONTROL, origin="null", kind=None, body=None), 403),
    (Knock(origin="https://evil.example", with_key=False), 403),
    # Sent by a page of another site, though without an Origin.
    (Knock(site="cross-site"), 403),
    (Knock("GET", HEALTH, site="cross-site", kind=None, body=None), 403),
    (Knock("GET", CONTROL, site="cross-site", kind=None, body=None), 403),
    # No key; what is asked for does not matter then.
    (Knock(with_key=False), 401),
    (Knock("PUT", with_key=False), 401),
    (Knock(with_key=False, kind="text/plain"), 401),
    (Knock("GET", CONTROL, kind=None, body=None, with_key=False), 401),
    # Not JSON by its type: what a form can send.
    (Knock(kind="text/plain"), 415),
    (Knock(kind="application/x-www-form-urlencoded"), 415),
    (Knock(kind="multipart/form-data; boundary=x"), 415),
    (Knock(kind=None), 415),
    (Knock(path="/v1/keys", kind="text/plain"), 415),
    (Knock(path="/v1/keys", kind=None), 415),
    # Nothing is there.
    (Knock(path="/mcp/nothing"), 404),
    (Knock(path="/mcp/stand-in/more"), 404),
    (Knock("GET", "/v1/nothing", kind=None, body=None), 404),
    (Knock("GET", "/v1/status/", kind=None, body=None), 404),
    (Knock("GET", "/", kind=None, body=None), 404),
    (Knock("GET", "/healthy", kind=None, body=None), 404),
    (Knock("POST", "/v1/daemon/stop"), 404),
    (Knock("GET", "/v1/daemon", kind=None, body=None), 404),
    (Knock("GET", "//mcp/stand-in", kind=None, body=None), 404),
    # Not that method.
    (Knock("PUT"), 405),
    (Knock("PATCH"), 405),
    (Knock("HEAD", kind=None, body=None), 405),
    (Knock("OPTIONS", kind=None, body=None), 405),
    (Knock("DELETE", kind=None, body=None), 405),
    (Knock("DELETE", CONTROL, kind=None, body=None), 405),
    (Knock("POST", CONTROL), 405),
    (Knock("PUT", "/v1/keys"), 405),
    (Knock("POST", HEALTH), 405),
]


@pytest.mark.parametrize(("knock", "status"), TABLE, ids=lambda value: str(value)[:150])
def test_the_table(shared_daemon: Daemon, key: str, knock: Knock, status: int) -> None:
    """Each row's status; a refusal is typed JSON, and nothing ever allows a foreign page."""
    answer = knock.send(shared_daemon, key)
    assert answer.status == status
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    if status >= 400 and knock.method != "HEAD":
        assert answer.headers["content-type"] == JSON
        assert answer.json()["error"]["message"]
    assert ("www-authenticate" in answer.headers) == (status == 401)


def test_every_combination_is_answered(shared_daemon: Daemon, key: str) -> None:
    """Never a 5xx, never a CORS header; a wrong Host and a foreign Origin never pass."""
    for method, path, host, origin, site, kind, with_key in itertools.product(
        ("GET", "POST", "PUT", "OPTIONS"), (MCP, "/v1/keys", HEALTH), ("own", "evil.example"),
        (None, "null", "https://evil.example"), (None, "cross-site"), (JSON, "text/plain"),
        (True, False),
    ):  # fmt: skip
        if (method, path, with_key, host, origin, site) == ("GET", MCP, True, "own", None, None):
            continue  # the stream of server messages, which does not end
        knock = Knock(method, path, host, origin, site, kind, with_key)
        answer = knock.send(shared_daemon, key)
        assert answer.status < 500, knock
        assert not [name for name in answer.headers if name.startswith("access-control-")], knock
        if host != "own":
            assert answer.status == 421, knock
        elif origin is not None or site is not None:
            assert answer.status == 403, knock
        elif not with_key and path != HEALTH:
            assert answer.status == 401, knock


@pytest.mark.parametrize("path", [MCP, "/v1/keys"])
def test_a_body_over_four_mebibytes_is_413(shared_daemon: Daemon, key: str, path: str) -> None:
    """Whether its length is stated or not."""
    host = shared_daemon.url.removeprefix("http://")
    headers = (f"Authorization: Bearer {key}", f"Content-Type: {JSON}")
    stated = request("POST", path, host, *headers, body=b" " * TOO_MUCH)
    unstated = chunked("POST", path, host, *headers, chunks=[b" " * (TOO_MUCH // 4 + 1)] * 4)
    for raw in (stated, unstated):
        answer = exchange(shared_daemon.url, raw)
        assert answer.status == 413
        assert answer.headers["content-type"] == JSON


def test_a_body_of_four_mebibytes_is_taken(shared_daemon: Daemon, key: str) -> None:
    """The limit is where it is said to be."""
    body = PING + b" " * (TOO_MUCH - 1 - len(PING))
    assert shared_daemon.tcp("POST", MCP, body, key=key).status == 200


def test_a_chunked_message_is_read_whole(shared_daemon: Daemon, key: str) -> None:
    """Pieces are no reason to refuse."""
    host = shared_daemon.url.removeprefix("http://")
    headers = (f"Authorization: Bearer {key}", f"Content-Type: {JSON}")
    raw = chunked("POST", MCP, host, *headers, chunks=[PING[:9], PING[9:]])
    assert exchange(shared_daemon.url, raw).json() == {"jsonrpc": "2.0", "id": 1, "result": {}}


@pytest.mark.parametrize(
    "header",
    [
        "Host: evil.example",
        "Transfer-Encoding: chunked",
        "Content-Length: 3",
        "Content-Length: +40",
    ],
)
def test_contradicting_headers_are_400(shared_daemon: Daemon, key: str, header: str) -> None:
    """Two hosts, or two ways to say the length, are how requests are smuggled past a gate."""
    own = shared_daemon.url.removeprefix("http://")
    raw = request(
        "POST", MCP, own, f"Authorization: Bearer {key}", f"Content-Type: {JSON}", header, body=PING
    )
    assert exchange(shared_daemon.url, raw).status == 400


def test_no_answer_tells_the_versions_of_libraries(shared_daemon: Daemon) -> None:
    for answer in (
        shared_daemon.tcp("GET", "/health"),
        shared_daemon.tcp("GET", "/nothing"),
        shared_daemon.ask("GET", "/v1/status"),
    ):
        assert "server" not in answer.headers

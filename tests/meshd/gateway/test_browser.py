"""What a page in a browser could send, in all its combinations: nothing changes, nothing is shown.

One request more than a page can make: each carries a valid key. So only Host and Origin stand
between the page and everything that the key may do.
"""

import http.client
import itertools
import json
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tests.support import stdio_server
from tests.support.daemon import Daemon

METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS")
HOSTS = (
    "own", "localhost:PORT", "127.0.0.1", "127.0.0.2:PORT", "evil.example:PORT",
    "127.0.0.1.evil.example:PORT", "0.0.0.0:PORT", "127.0.0.1:PORT@evil.example",
)  # fmt: skip
RIGHT_HOSTS = HOSTS[:2]
ORIGINS = (
    None, "null", "http://evil.example", "http://sub.localhost:PORT", "http://127.0.0.1:1",
    "http://127.0.0.1:PORT.evil.example", "https://127.0.0.1:PORT", "file://",
)  # fmt: skip
KINDS = ("application/json", "text/plain", "application/x-www-form-urlencoded", None)
LIST = ("/mcp/stand-in", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
ADD = ("/v1/keys", {"name": "planted", "allow": ["stand-in"]})
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
    "Access-Control-Request-Private-Network": "true",
}


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon) -> str:
    """May call the connection and make keys."""
    shared_daemon.connect("stand-in", *stdio_server.command())
    return shared_daemon.add_key("page", "stand-in", "self", "self/key.add")


@pytest.mark.parametrize("host", HOSTS)
def test_no_combination_gets_through(shared_daemon: Daemon, key: str, host: str) -> None:
    """Wrong in Host or Origin: refused for that, without a CORS header, a tool or a change."""
    own = urlsplit(shared_daemon.url)
    before = shared_daemon.control("GET", "/v1/keys")
    with closing(http.client.HTTPConnection(str(own.hostname), own.port, timeout=20)) as link:
        for method, origin, kind, (path, asked) in itertools.product(
            METHODS, ORIGINS, KINDS, (LIST, ADD)
        ):
            if host in RIGHT_HOSTS and origin is None:
                continue  # no page, but a client of this machine
            named = host.replace("own", own.netloc).replace("PORT", str(own.port))
            given = {"Host": named, "Authorization": f"Bearer {key}"}
            given |= {"Origin": origin.replace("PORT", str(own.port))} if origin else {}
            given |= {"Content-Type": kind} if kind else {}
            given |= PREFLIGHT if method == "OPTIONS" else {}
            link.request(method, path, json.dumps(asked), given)
            answer = link.getresponse()
            body = answer.read()
            case = (method, given, path)
            assert answer.status == (403 if host in RIGHT_HOSTS else 421), case
            assert b'"tools"' not in body, case
            assert not [n for n, _ in answer.getheaders() if n.lower().startswith("access-")], case
    names = [row["name"] for row in shared_daemon.control("GET", "/v1/keys")]
    assert names == [row["name"] for row in before]


@pytest.mark.parametrize(("path", "asked"), [LIST, ADD])
def test_without_a_page_the_same_requests_work(
    shared_daemon: Daemon, key: str, path: str, asked: dict[str, object]
) -> None:
    """So that the silence above means something."""
    assert shared_daemon.tcp("POST", path, asked, key=key).status == 200


def test_a_preflight_of_an_allowed_origin_is_granted_nothing() -> None:
    """Such a page is not refused, but no browser lets it read an answer: there is no CORS."""
    made = Daemon.fresh(ALLOWED_ORIGINS="https://app.example").start()
    try:
        given = {"Origin": "https://app.example", **PREFLIGHT}
        for path, _ in (LIST, ADD):
            answer = made.tcp("OPTIONS", path, **given)
            assert answer.status == 401
            assert not [name for name in answer.headers if name.startswith("access-")]
    finally:
        made.remove()
